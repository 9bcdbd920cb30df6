"""Checked tree -> flattened branches: each a root table, a chain of key joins, conditions, keys and amounts.

UNION ALL, WITH and derived tables disappear: a branch's expressions name columns of base tables only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from pipeline.query.layout import Derived, TablePlan
from pipeline.query.parse import Parsed
from pipeline.query.place import MappingText
from pipeline.query.shape import Shape, is_grouped


@dataclass
class Join:
    """`alias` of `table` found by `key`: each of its columns equals a constant or a column of `parent`, derived or not.

    `rest` are the other conditions of ON.
    """

    alias: str
    table: TablePlan
    left: bool
    parent: str
    pairs: tuple[tuple[str, exp.Expr], ...]
    rest: tuple[exp.Expr, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of this table that find its row."""
        return tuple(column for column, _ in self.pairs)

    @property
    def parent_columns(self) -> tuple[tuple[str, str], ...]:
        """(column of this table, column of the parent) without the constants."""
        return tuple((c, e.name) for c, e in self.pairs if isinstance(e, exp.Column))


@dataclass
class Branch:
    """One flat SELECT over base tables. `names` maps an alias in scope to a base alias or its output columns."""

    text: MappingText
    root: str
    tables: dict[str, TablePlan]
    names: dict[str, "str | Outputs"]
    joins: list[Join] = field(default_factory=list)
    conditions: list[exp.Expr] = field(default_factory=list)
    keys: list[exp.Expr] = field(default_factory=list)
    amounts: list[exp.Expr] = field(default_factory=list)
    empty: bool = False

    @property
    def expressions(self) -> Iterator[exp.Expr]:
        """Everything that is evaluated for a row."""
        yield from self.keys
        yield from self.amounts
        yield from self.conditions
        for join in self.joins:
            yield from join.rest
            yield from (e for _, e in join.pairs)


class Outputs(dict[str, exp.Expr]):
    """The output columns of a derived table in one of its arms."""


class _Nulls(Outputs):
    """A LEFT JOIN that never finds anything: its key is NULL in this arm."""

    def __missing__(self, column: str) -> exp.Expr:
        return exp.Null()


@dataclass(frozen=True)
class QueryPlan:
    """`grouped`: an arm has its own GROUP BY, so the text yields sums instead of rows."""

    parsed: Parsed
    branches: Sequence[Branch]
    keys: tuple[str, ...]
    amounts: tuple[str, ...]
    arms: int
    grouped: bool


def conjunction(condition: exp.Expr) -> list[exp.Expr]:
    """The parts of a AND b AND ..."""
    if isinstance(condition, exp.And):
        return conjunction(condition.this) + conjunction(condition.expression)
    return conjunction(condition.this) if isinstance(condition, exp.Paren) else [condition]


class Planner:
    """Plans one query; `tables` (by catalog name) is shared by all queries of a source."""

    def __init__(self, parsed: Parsed, tables: dict[str, TablePlan]) -> None:
        self.parsed, self.text, self.shared = parsed, parsed.text, tables
        self.ctes: dict[str, exp.Expr] = {}
        self.aliases = 0

    def plan(self) -> QueryPlan:
        """The flattened query; PackError where it is not one we can maintain."""
        self._remember_ctes(self.parsed.tree)
        arms = self._arms(self.parsed.tree)
        first, branches = Shape.of(arms[0], self.text), []
        for arm in arms:
            shape = first.match(arm, self.text)
            for branch in self._sources(arm):
                branch.keys = [self._flat(e, branch) for e in shape.keys]
                branch.amounts = [self._flat(e, branch) for e in shape.amounts]
                branches.append(branch)
        for branch in branches:
            _derive_keys(branch)
            _note_columns(branch)
        grouped = any(is_grouped(a) for a in arms)
        return QueryPlan(self.parsed, branches, first.key_names, first.amount_names, len(arms), grouped)

    def _remember_ctes(self, query: exp.Expr) -> None:
        clause = query.args.get("with_")
        self.ctes.update({c.alias: c.this for c in clause.expressions} if clause else {})

    def _arms(self, query: exp.Expr) -> list[exp.Select]:
        if isinstance(query, exp.Union):
            return self._arms(query.this) + self._arms(query.expression)
        if isinstance(query, exp.Subquery):
            return self._arms(query.this)
        if not isinstance(query, exp.Select):
            self.text.refuse(query, "not a SELECT", "write SELECT .. [UNION ALL SELECT ..]")
        return [query]

    def _derived(self, query: exp.Expr) -> list[Branch]:
        """A derived table's arms as branches whose `names` is {'': its output columns}."""
        self._remember_ctes(query)
        arms = self._arms(query)
        names = [e.alias_or_name for e in arms[0].expressions]
        branches = []
        for arm in arms:
            if arm.args.get("group") or arm.find(exp.AggFunc):
                self.text.refuse(arm, "aggregation inside a derived table", "yield its rows: they are added at the end")
            if len(arm.expressions) != len(names):
                self.text.refuse(arm, f"{len(arm.expressions)} columns, the first arm has {len(names)}", "match them")
            for branch in self._sources(arm):
                columns = (self._flat(e.unalias(), branch) for e in arm.expressions)
                branch.names = {"": Outputs(zip(names, columns, strict=True))}
                branches.append(branch)
        return branches

    def _sources(self, select: exp.Select) -> list[Branch]:
        """FROM, JOINs and WHERE of one SELECT."""
        source = select.args["from_"].this
        branches = self._from(source)
        for branch in branches:
            for join in select.args.get("joins") or ():
                self._join(join, branch)
            if where := select.args.get("where"):
                branch.conditions += conjunction(self._flat(where.this, branch))
        return [b for b in branches if not b.empty]

    def _from(self, source: exp.Expr) -> list[Branch]:
        if isinstance(source, exp.Subquery) or source.name in self.ctes:
            query = source.this if isinstance(source, exp.Subquery) else self.ctes[source.name]
            branches = self._derived(query)
            for branch in branches:
                branch.names = {source.alias_or_name: branch.names[""]}
            return branches
        root = self._alias()
        return [Branch(self.text, root, {root: self._table(source)}, {source.alias_or_name: root})]

    def _alias(self) -> str:
        self.aliases += 1
        return f"s{self.aliases}"

    def _table(self, node: exp.Expr) -> TablePlan:
        table = self.parsed.tables[node.name]
        if table.name not in self.shared:
            self.shared[table.name] = TablePlan(table, self.parsed.dialect, len(self.shared))
        if not table.primary_key:
            self.text.refuse(node, f"{table.name} has no primary key", "name a unique key in [schema] of pack.toml")
        return self.shared[table.name]

    def _join(self, node: exp.Join, branch: Branch) -> None:
        if not isinstance(node.this, exp.Table) or node.this.name in self.ctes:
            self.text.refuse(node.this, "a derived table is joined", "start FROM it, and join plain tables")
        alias, left = self._alias(), (node.side or "").upper() == "LEFT"
        branch.names[node.this.alias_or_name] = alias
        parts = conjunction(self._flat(node.args["on"], branch))
        if any(_never(p) for p in parts):
            branch.names[node.this.alias_or_name] = _Nulls()
            branch.empty |= not left
            return
        branch.tables[alias] = self._table(node.this)
        branch.joins.append(self._keyed(node, alias, left, parts, branch))

    def _keyed(self, node: exp.Join, alias: str, left: bool, parts: list[exp.Expr], branch: Branch) -> Join:
        table = branch.tables[alias]
        equal: dict[str, tuple[exp.Expr, exp.Expr]] = {}
        pairs = [(*pair, part) for part in parts if (pair := _pair(part, alias))]
        for column, other, part in sorted(pairs, key=lambda p: _effort(p[1])):
            equal.setdefault(column, (other, part))
        covered = (k for k in table.keys if all(c in equal for c in k))
        key = min(covered, key=lambda k: max(_effort(equal[c][0]) for c in k), default=None)
        if key is None:
            keys = " or ".join(f"({', '.join(k)})" for k in table.keys)
            fix = f"join it ON its primary or a unique key {keys}, each column = an expression over one other table"
            self.text.refuse(node, f"JOIN {table.table.name} does not cover a key", fix)
        used = {id(equal[c][1]) for c in key}
        rest = tuple(p for p in parts if id(p) not in used)
        by = tuple((c, equal[c][0]) for c in key)
        return Join(alias, table, left, self._parent(node, [e for _, e in by]), by, rest)

    def _parent(self, node: exp.Join, by: list[exp.Expr]) -> str:
        """The alias of the one table that a join's key is computed from."""
        if moving := next((e for e in by if e.find(exp.CurrentDate)), None):
            self.text.refuse(moving, "a join key that changes with the day", "compare with today in another condition")
        parents = {c.table for e in by for c in e.find_all(exp.Column)}
        if len(parents) != 1:
            fix = "equal the key's columns to columns of one table; constants belong into [params] with detect"
            self.text.refuse(node, "a join key must come from one other table", fix)
        return parents.pop()

    def _flat(self, expression: exp.Expr, branch: Branch) -> exp.Expr:
        """The expression with every column replaced by the base columns it stands for."""

        def replace(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column):
                return node
            source = branch.names.get(node.table)
            if source is None:
                self.text.refuse(node, "not joined yet at this place", "order the joins so that it comes before")
            if isinstance(source, str):
                return exp.column(node.this.copy(), table=source)
            try:
                return _placed(source[node.name])
            except KeyError:
                self.text.refuse(node, "no such column in the derived table", "name it there with AS")

        return expression.copy().transform(replace)


def _derive_keys(branch: Branch) -> None:
    """Let the joins' keys be columns and constants only."""
    for join in branch.joins:
        join.pairs = tuple((c, _as_column(c, e, join, branch)) for c, e in join.pairs)


def _as_column(column: str, other: exp.Expr, join: Join, branch: Branch) -> exp.Expr:
    if isinstance(other, exp.Column) or not other.find(exp.Column):
        return other
    name = branch.tables[join.parent].derive(Derived.of(branch.text, other), join.table.types[column])
    return exp.column(name, table=join.parent)


def _note_columns(branch: Branch) -> None:
    for expression in branch.expressions:
        for column in expression.find_all(exp.Column):
            branch.tables[column.table].used.add(column.name)
    for join in branch.joins:
        join.table.used.update(join.key)


def _placed(expression: exp.Expr) -> exp.Expr:
    """A copy to stand for a column; in parentheses, so that precedence stays, where it can matter."""
    plain = isinstance(expression, exp.Column | exp.Literal | exp.Null)
    return expression.copy() if plain else exp.Paren(this=expression.copy())


def _never(condition: exp.Expr) -> bool:
    """Equality with NULL."""
    return isinstance(condition, exp.EQ) and any(_is_null(e) for e in (condition.this, condition.expression))


def _is_null(e: exp.Expr) -> bool:
    return isinstance(e, exp.Null) or (isinstance(e, exp.Cast | exp.Paren) and _is_null(e.this))


def _pair(condition: exp.Expr, alias: str) -> tuple[str, exp.Expr] | None:
    """(column of alias, expression elsewhere) of an equality, else None."""
    if not isinstance(condition, exp.EQ):
        return None
    left, right = condition.this.unnest(), condition.expression.unnest()
    for own, other in ((left, right), (right, left)):
        if isinstance(own, exp.Column) and own.table == alias:
            return (own.name, other) if all(c.table != alias for c in other.find_all(exp.Column)) else None
    return None


def _effort(key: exp.Expr) -> int:
    """What a key is rather made of: columns and literals, then what can be computed from one row."""
    if isinstance(key, exp.Column | exp.Literal):
        return 0
    return 1 if len({c.table for c in key.find_all(exp.Column)}) <= 1 and not key.find(exp.CurrentDate) else 2
