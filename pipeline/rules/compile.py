"""Rules -> Python: for each scope one function that finds the few things of which a rule holds, and one that judges."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from pipeline.domain.alerts import Rule
from pipeline.domain.scope import Scope
from pipeline.query import MappingText, values
from pipeline.query.expressions import Expressions
from pipeline.query.operands import Value, constant
from pipeline.query.parse import parse_condition
from pipeline.query.place import closest
from pipeline.rules.facts import ABSENT, Fact, Facts, Known, detail_facts, item_facts, level_facts
from pipeline.rules.file import RuleText
from pipeline.rules.order_facts import order_facts

DIALECT = "postgres"
SCOPES = {"level": level_facts, "item": item_facts, "detail": detail_facts, "order": order_facts}
_OPEN_ENDED = (exp.Is, exp.Coalesce, exp.Case, exp.Or, exp.Not)
"""What may be true although a fact in it is unknown."""


def compile_rules(rules: Sequence[RuleText], known: Known) -> list[Scope]:
    """The scopes that have rules. Raises PackError with the place of what is no condition over a scope's facts."""
    found = []
    for name, facts_of in SCOPES.items():
        facts = facts_of(known)
        compiled = [_Compiled(text, facts) for text in rules if text.scope == name]
        able = [c for c in compiled if not c.lacks]
        if able:
            found.append(_scope(facts, able))
    return found


def unable(rules: Sequence[RuleText], known: Known) -> dict[str, str]:
    """The rules of a site that cannot hold, by kind, and the fact that the pack does not yield."""
    tables = {name: facts_of(known) for name, facts_of in SCOPES.items()}
    compiled = [_Compiled(text, tables[text.scope]) for text in rules if not text.is_shipped]
    return {c.rule.kind: c.lacks for c in compiled if c.lacks}


class _Compiled:
    """One rule over its scope's facts: Python for "it holds" and for "it has not ended"; what it lacks to ever hold."""

    def __init__(self, text: RuleText, facts: Facts) -> None:
        self._facts = facts.facts
        when = self._checked(text.when)
        self.used = _columns(when)
        self.lacks = next((name for name in map(self._lack, _conjuncts(when)) if name), "")
        self.holds, self.lasts = self._python(text.when, when, want=True), "False"
        if text.until is not None:
            until = self._checked(text.until)
            self.used |= _columns(until)
            self.lasts = self._python(text.until, until, want=False)
        figures = (n for n in self.used if self._facts[n].show is not None)
        self.rule: Rule = replace(text.rule, figures=tuple(figures))

    def _checked(self, text: MappingText) -> exp.Expr:
        with text.within_reach():
            tree = parse_condition(text, DIALECT, self._facts)
        for node in tree.walk():
            if isinstance(node, exp.CurrentDate | exp.DateToDi | exp.DateToDateStr):
                text.refuse(node, "an alert looks at no calendar", 'compare facts; for = "2d" waits')
            if isinstance(node, exp.Column) and (node.table or node.name not in self._facts):
                near = closest(node.name, self._facts) or f": {', '.join(sorted(self._facts))}"
                text.refuse(node, "there is no such fact", f"correct its name{near}")
        return tree

    def _lack(self, conjunct: exp.Expr) -> str:
        names = _columns(conjunct)
        lacking = [name for name in names if self._facts[name] is ABSENT]
        return lacking[0] if lacking and conjunct.find(*_OPEN_ENDED) is None else ""

    def _python(self, text: MappingText, tree: exp.Expr, *, want: bool) -> str:
        with text.within_reach():
            return Expressions(text, DIALECT, lambda _, name: _value(name, self._facts[name]), {}).condition(
                tree, want=want
            )


def _value(name: str, fact: Fact) -> Value:
    if fact is ABSENT:
        return constant(None, fact.type)
    is_local = fact.type.kind == "number"
    return Value(f"f_{name}" if is_local else fact.code, fact.type, fact.nullable)


def _columns(tree: exp.Expr) -> dict[str, None]:
    return dict.fromkeys(node.name for node in tree.find_all(exp.Column))


def _conjuncts(tree: exp.Expr) -> Iterable[exp.Expr]:
    tree = tree.unnest()
    return [c for e in (tree.this, tree.expression) for c in _conjuncts(e)] if isinstance(tree, exp.And) else [tree]


def _scope(facts: Facts, compiled: Sequence[_Compiled]) -> Scope:
    rules = tuple(c.rule for c in compiled)
    names: dict[str, Any] = {**facts.names, "UPPER": values.upper, "LOWER": values.lower, "JSON_KEY": values.json_key}
    source = "\n".join([*_find(facts, compiled), *_judge(facts, compiled)]) + "\n"
    exec(compile(source, "<alerts>", "exec"), names)  # noqa: S102 -- code of our own grammar only
    return Scope(rules, names["find"], names["judge"], facts.key, _told(facts, compiled))


def _locals(facts: Facts, compiled: Sequence[_Compiled], indent: str) -> list[str]:
    """A line for each number that is looked at: it may be looked at several times."""
    used = dict.fromkeys(name for c in compiled for name in c.used)
    numbers = ((name, facts.facts[name]) for name in used)
    return [f"{indent}f_{name} = {fact.code}" for name, fact in numbers if fact.type.kind == "number"]


def _find(facts: Facts, compiled: Sequence[_Compiled]) -> list[str]:
    return [
        "def find(changed):",
        "    found = []",
        f"    for x in {facts.things}:",
        *_locals(facts, compiled, "        "),
        f"        if x.alert is not None or {' or '.join(c.holds for c in compiled)}: found.append(x)",
        "    return found",
    ]


def _judge(facts: Facts, compiled: Sequence[_Compiled]) -> list[str]:
    holds = " | ".join(f"({1 << at} if {c.holds} else 0)" for at, c in enumerate(compiled))
    lasts = " | ".join(f"({1 << at} if {c.lasts} else 0)" for at, c in enumerate(compiled) if c.lasts != "False")
    return [
        "def judge(x):",
        f"    if not {facts.alive}: return 0, 0",
        *_locals(facts, compiled, "    "),
        f"    return {holds}, {lasts or 0}",
    ]


def _told(facts: Facts, compiled: Sequence[_Compiled]) -> Callable[[Any, Rule], dict[str, str]]:
    shows = {c.rule: [(n, facts.facts[n].show) for n in c.rule.figures] for c in compiled}

    def told(thing: Any, rule: Rule) -> dict[str, str]:
        figures = ((name, show(thing)) for name, show in shows[rule] if show is not None)
        return facts.identity(thing) | {name: text for name, text in figures if text}

    return told
