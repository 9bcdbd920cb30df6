"""One branch -> Python: the steps from a root row to its key and amounts, in code that other branches may share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from sqlglot import exp

from pipeline.query.dates import Dated, dates_of
from pipeline.query.derived import over_no_row, over_row
from pipeline.query.expressions import Expressions
from pipeline.query.fuse import Step, is_column
from pipeline.query.layout import TablePlan
from pipeline.query.operands import FOLDS, Value
from pipeline.query.plan import Branch, Join
from pipeline.query.types import Type

T = TypeVar("T")
_FIX_KEY = "yield text, a whole number, a date or a flag"


class Indexes(Protocol):
    """Where a branch registers what it looks rows up by; `names` is the generated module's namespace."""

    dialect: str
    names: dict[str, Any]

    def index(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The name of the index of a table's rows by columns that refer to another table."""

    def unique(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The name of the index of a table's rows by a unique key."""

    def name(self, kind: str, code: str) -> str:
        """A name for what `code` yields: equal code, equal name."""


@dataclass(frozen=True, eq=False)
class Arm:
    """A compiled branch: `steps` to the place where its keys and amounts are known.

    `before`: the amounts of the root row's old version. `key_reads` and `amount_reads` are what the codes refer to,
    `words` the query's own texts in each key.
    `dates`: what today is compared with, None where it is used otherwise.
    """

    branch: Branch
    steps: tuple[Step, ...]
    keys: tuple[Value, ...]
    words: tuple[tuple[str, ...], ...]
    key_reads: frozenset[str]
    amounts: tuple[Value, ...]
    before: tuple[Value, ...]
    amount_reads: frozenset[str]
    dates: tuple[Dated, ...] | None

    @property
    def fixed(self) -> frozenset[str]:
        """The root columns that say which rows it joins and which group it counts in."""
        reads = (s.reads for s in self.steps if not s.before)
        return frozenset(filter(is_column, self.key_reads.union(*reads)))

    @property
    def columns(self) -> frozenset[str]:
        """All root columns it reads."""
        reads = (s.reads for s in self.steps)
        return frozenset(filter(is_column, self.key_reads.union(self.amount_reads, *reads)))


class BranchCompiler:
    """Compiles one branch: its conditions, joins, keys and amounts, each on its own."""

    def __init__(self, indexes: Indexes, branch: Branch) -> None:
        self.indexes, self.branch = indexes, branch
        self.steps: list[Step] = []
        self.rows = {branch.root: "a"}  # what stands for an alias in code; the root's columns have names of their own
        self.outer: set[str] = set()
        self.expressions = Expressions(branch.text, indexes.dialect, self._column, indexes.names)

    def compile(self) -> Arm:
        """Every expression of the branch as code."""
        for join in self.branch.joins:
            self._check_key(join)
            self._join(join)
        self.steps[:0] = [self._test(c) for c in self.branch.conditions]
        keys = [self._key(e) for e in self.branch.keys]
        parts = [self._part(e, v) for e, v in zip(self.branch.keys, keys, strict=True)]
        amounts = [self._amount(e) for e in self.branch.amounts]
        before = self._of_old(lambda: [self._amount(e) for e in self.branch.amounts])
        return Arm(
            self.branch,
            tuple(dict.fromkeys(self.steps)),
            tuple(v for v, _ in parts),
            tuple(tuple(w.name for w in e.find_all(exp.Literal) if w.is_string) for e in self.branch.keys),
            frozenset().union(*(reads for _, reads in parts)),
            tuple(amounts),
            tuple(before),
            self._reads(self.branch.amounts),
            dates_of(self.branch, self.indexes.dialect, self.indexes.names),
        )

    def _of_old(self, compile_: Callable[[], T]) -> T:
        """Compile for the root row's old version."""
        self.rows[self.branch.root] = "b"
        compiled = compile_()
        self.rows[self.branch.root] = "a"
        return compiled

    def _column(self, alias: str, name: str) -> Value:
        table = self.branch.tables[alias]
        row, at = self.rows[alias], table.position(name)
        code = f"{row}{at}" if alias == self.branch.root else f"{row}[{at}]"
        return Value(code, table.types[name], alias in self.outer or table.nullable(name))

    def _reads(self, expressions: Iterable[exp.Expr]) -> frozenset[str]:
        """The names that the code of expressions refers to."""
        columns = (c for e in expressions for c in e.find_all(exp.Column))
        return frozenset(
            f"a{self.branch.tables[c.table].position(c.name)}" if c.table == self.branch.root else self.rows[c.table]
            for c in columns
        )

    def _value(self, node: exp.Expr) -> Value:
        """Code whose own names begin anew, so that equal expressions have equal code."""
        self.expressions.names = 0
        return self.expressions.value(node)

    def _condition(self, node: exp.Expr) -> str:
        self.expressions.names = 0
        return self.expressions.condition(node, want=True)

    def _test(self, node: exp.Expr) -> Step:
        reads = self._reads([node])
        before = self._of_old(lambda: self._condition(node)) if all(map(is_column, reads)) else ""
        return Step(test=self._condition(node), reads=reads, before=before)

    def _check_key(self, join: Join) -> None:
        derived = self.branch.tables[join.parent].derived
        for column, other in join.pairs:
            own, theirs, written = join.table.types[column], self.expressions.value(other), other
            if other.name in derived:
                written, theirs = derived[other.name].expression, self._derived(join, other.name)
            if not _is_comparable(own, theirs):
                what = f"{join.table.table.name}.{join.table.column(column).name} is joined with another type"
                self.branch.text.refuse(
                    written, what, "join columns of one type and collation; there are no implicit casts"
                )

    def _derived(self, join: Join, name: str) -> Value:
        """What a derived column is computed from has all columns NULL where a LEFT JOIN finds no row."""
        table, dialect, names = self.branch.tables[join.parent], self.indexes.dialect, self.indexes.names
        derived = table.derived[name]
        if join.parent in self.outer and over_no_row(table, derived, dialect, names) is not None:
            what = f"a join key that is not NULL where LEFT JOIN finds no {table.table.name}"
            fix = "let it be NULL there: without COALESCE or CONCAT, say"
            self.branch.text.refuse(derived.expression, what, fix)
        return over_row(table, derived, dialect, names)

    def _join(self, join: Join) -> None:
        parts = [self._key_part(join, c, e) for c, e in join.pairs]
        key = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        if not is_direct(join):
            key = f"{self.indexes.unique(join.table, join.key)}.get({key}, NOBODY)[0]"
        # Registered now: every table's `change` is generated later and keeps all indexes of its rows.
        self.indexes.index(self.branch.tables[join.parent], tuple(p for _, p in join.parent_columns))
        missing = f"N_{join.table.id}"
        found = f"R_{join.table.id}.get({key}{', ' + missing if join.left else ''})"
        own_rest = join.alias if join.left and join.rest else ""
        row = self.rows[join.alias] = self.indexes.name("s", f"{found} {own_rest}")
        if join.left:
            self.outer.add(join.alias)
        reads = self._reads(e for _, e in join.pairs)
        if not join.left:
            self.steps.append(Step((f"{row} = {found}",), f"{row} is not None", reads, row))
            self.steps += [self._test(c) for c in join.rest]
            return
        lines = [f"{row} = {found}"]
        if join.rest:
            tests = " and ".join(self._condition(c) for c in join.rest)
            lines.append(f"if not ({tests}): {row} = {missing}")
        self.steps.append(Step(tuple(lines), "", (reads | self._reads(join.rest)) - {row}, row))

    def _key_part(self, join: Join, column: str, other: exp.Expr) -> str:
        own, value = join.table.types[column], self._value(other)
        if value.is_constant:
            text = value.constant.rstrip(" ") if own.char else value.constant
            return repr(self.indexes.names[FOLDS[own.fold]][text] if own.fold else text)
        return folded_code(value.code, own)

    def _key(self, node: exp.Expr) -> Value:
        value = self._value(node)
        kind = value.type.kind
        if kind in ("other", "json") or (kind == "number" and (value.type.scale or value.type.approx)):
            self.branch.text.refuse(node, f"a key of type {kind} with decimals or unknown type", _FIX_KEY)
        return value

    def _part(self, node: exp.Expr, value: Value) -> tuple[Value, frozenset[str]]:
        """A part of the key and what it reads; one that must be computed is a step of its own."""
        code, reads = value.code, self._reads([node])
        if not value.is_constant and not code.replace("[", "").replace("]", "").isalnum():
            code = self.indexes.name("w", value.code)
            self.steps.append(Step((f"{code} = {value.code}",), "", reads, code))
            reads = frozenset({code})
        return replace(value, code=code), reads

    def _amount(self, node: exp.Expr) -> Value:
        value = self._value(node)
        if value.type.kind not in ("number", "null"):
            self.branch.text.refuse(node, f"an amount of type {value.type.kind}", "yield a number")
        return value


def _is_comparable(own: Type, other: Value) -> bool:
    """Whether a key's column can be found by what the other side yields: the same type, or a literal."""
    theirs = other.type
    if own.kind in ("other", "json") or own.approx or theirs.approx:
        return False
    if own.kind != theirs.kind or own.scale != theirs.scale:
        return False
    if other.is_constant and theirs.literal:
        return True
    return own.char == theirs.char and (own.fold == theirs.fold or theirs.literal)


def is_direct(join: Join) -> bool:
    """Whether the join's key is the row store's own."""
    return join.key == join.table.pk and not any(join.table.types[c].fold for c in join.key)


def folded_code(code: str, type_: Type) -> str:
    """Code of what '=' compares of a column."""
    return f"{FOLDS[type_.fold]}[{code}]" if type_.fold else code
