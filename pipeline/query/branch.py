"""One branch -> Python: filters as early as their columns are known, then joins, then keys and amounts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlglot import exp

from pipeline.query.expressions import Expressions
from pipeline.query.layout import TablePlan
from pipeline.query.operands import FOLDS, Value
from pipeline.query.plan import Branch, Join
from pipeline.query.types import Type
from pipeline.query.writer import Writer

_FIX_KEY = "yield text, a whole number, a date or a flag"


class Indexes(Protocol):
    """Where a branch registers what it looks rows up by; `names` is the generated module's namespace."""

    dialect: str
    names: dict[str, Any]

    def index(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The name of the index of a table's rows by columns that refer to another table."""

    def unique(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The name of the index of a table's rows by a unique key."""


@dataclass
class BranchCode:
    """A compiled branch up to the point where its keys and amounts are known; `words` are the texts in each key."""

    branch: Branch
    body: Writer
    keys: list[Value]
    words: list[list[str]]
    amounts: list[Value]
    moved: str
    uses_today: bool


class BranchCompiler:
    """Compiles one branch: filters as early as their columns are known, then joins, then keys and amounts."""

    def __init__(self, indexes: Indexes, branch: Branch) -> None:
        self.indexes, self.branch = indexes, branch
        self.body = Writer(depth=1)
        self.loaded: set[int] = set()
        self.known = {branch.root}
        self.outer: set[str] = set()
        self.expressions = Expressions(branch.text, indexes.dialect, self._column, indexes.names)

    def compile(self) -> BranchCode:
        """The branch's code up to its keys and amounts."""
        pending = list(self.branch.conditions)
        pending = self._filter(pending)
        for join in self.branch.joins:
            self._check_key(join)
            self._join(join)
            pending = self._filter(pending)
        self._load([*self.branch.keys, *self.branch.amounts])
        keys = [self._key(e) for e in self.branch.keys]
        words = [[w.name for w in e.find_all(exp.Literal) if w.is_string] for e in self.branch.keys]
        amounts = [self._amount(e) for e in self.branch.amounts]
        return BranchCode(self.branch, self.body, keys, words, amounts, self._moved(), self.expressions.uses_today)

    def _column(self, alias: str, name: str) -> Value:
        table = self.branch.tables[alias]
        type_ = table.types[name]
        at = table.position(name)
        code = f"a{at}" if alias == self.branch.root else f"{alias}[{at}]"
        return Value(code, type_, alias in self.outer or table.nullable(name))

    def _load(self, expressions: Iterable[exp.Expr]) -> None:
        """Unpack the root row's columns when they are first needed: most rows end at a filter."""
        root = self.branch.tables[self.branch.root]
        columns = {c.name for e in expressions for c in e.find_all(exp.Column) if c.table == self.branch.root}
        for at in sorted({root.position(c) for c in columns} - self.loaded):
            self.body.line(f"a{at} = row[{at}]")
            self.loaded.add(at)

    def _filter(self, conditions: list[exp.Expr]) -> list[exp.Expr]:
        """Emit the conditions whose tables are known; the others."""
        later = []
        for condition in conditions:
            if {c.table for c in condition.find_all(exp.Column)} <= self.known:
                self._load([condition])
                self.body.block(f"if {self.expressions.condition(condition, want=True)}:")
            else:
                later.append(condition)
        return later

    def _check_key(self, join: Join) -> None:
        for column, other in join.pairs:
            own = join.table.types[column]
            theirs = self.expressions.value(other).type
            same = own.kind == theirs.kind and own.scale == theirs.scale and own.kind not in ("other", "json")
            like = theirs.literal or (own.fold == theirs.fold and own.char == theirs.char)
            if not same or not like or own.approx:
                what = f"{join.table.table.name}.{join.table.column(column).name} is joined with another type"
                self.branch.text.refuse(
                    other, what, "join columns of one type and collation; there are no implicit casts"
                )

    def _join(self, join: Join) -> None:
        self._load(e for _, e in join.pairs)
        parts = [self._key_part(join, c, e) for c, e in join.pairs]
        key = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        if not is_direct(join):
            key = f"{self.indexes.unique(join.table, join.key)}.get({key}, NOBODY)[0]"
        # Registered now: every table's `change` is generated later and keeps all indexes of its rows.
        self.indexes.index(self.branch.tables[join.parent], tuple(p for _, p in join.parent_columns))
        missing = f"N_{join.table.id}"
        self.body.line(f"{join.alias} = R_{join.table.id}.get({key}{', ' + missing if join.left else ''})")
        self.known.add(join.alias)
        if join.left:
            self.outer.add(join.alias)
        else:
            self.body.block(f"if {join.alias} is not None:")
        self._rest(join, missing)

    def _key_part(self, join: Join, column: str, other: exp.Expr) -> str:
        own, value = join.table.types[column], self.expressions.value(other)
        if value.is_constant:
            text = value.constant.rstrip(" ") if own.char else value.constant
            return repr(self.indexes.names[FOLDS[own.fold]][text] if own.fold else text)
        return folded_code(value.code, own)

    def _rest(self, join: Join, missing: str) -> None:
        if not join.rest:
            return
        self._load(join.rest)
        tests = " and ".join(self.expressions.condition(c, want=True) for c in join.rest)
        if join.left:
            self.body.line(f"if not ({tests}): {join.alias} = {missing}")
        else:
            self.body.block(f"if {tests}:")

    def _key(self, node: exp.Expr) -> Value:
        value = self.expressions.value(node)
        kind = value.type.kind
        if kind in ("other", "json") or (kind == "number" and (value.type.scale or value.type.approx)):
            self.branch.text.refuse(node, f"a key of type {kind} with decimals or unknown type", _FIX_KEY)
        return value

    def _amount(self, node: exp.Expr) -> Value:
        value = self.expressions.value(node)
        if value.type.kind not in ("number", "null"):
            self.branch.text.refuse(node, f"an amount of type {value.type.kind}", "yield a number")
        return value

    def _moved(self) -> str:
        """Python that is true where `row` may count otherwise when today goes from one end of lo..hi to the other."""
        todays = (today for e in self.branch.expressions for today in e.find_all(exp.CurrentDate))
        tests = [self._passes(today) for today in todays]
        return " or ".join(dict.fromkeys(tests)) or "False"

    def _passes(self, today: exp.Expr) -> str:
        side, compared = today, today.parent
        while isinstance(compared, exp.Paren):
            side, compared = compared, compared.parent
        if not isinstance(compared, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
            return "True"
        other = compared.expression if compared.this is side else compared.this
        if any(c.table != self.branch.root for c in other.find_all(exp.Column)) or other.find(exp.CurrentDate):
            return "True"
        reader = Expressions(self.branch.text, self.indexes.dialect, self._from_row, self.indexes.names)
        return f"((d := {reader.value(other).code}) is not None and lo <= d[:10] <= hi)"

    def _from_row(self, alias: str, name: str) -> Value:
        table = self.branch.tables[alias]
        return Value(f"row[{table.position(name)}]", table.types[name], table.nullable(name))


def is_direct(join: Join) -> bool:
    """Whether the join's key is the row store's own."""
    return join.key == join.table.pk and not any(join.table.types[c].fold for c in join.key)


def folded_code(code: str, type_: Type) -> str:
    """Code of what '=' compares of a column."""
    return f"{FOLDS[type_.fold]}[{code}]" if type_.fold else code
