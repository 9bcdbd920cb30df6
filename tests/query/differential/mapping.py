"""A mapping under test, and how one is put together: tables, FROM clauses, arms, queries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pipeline.query import MappingText
from tests.query.differential.expressions import Col, Sql, columns_of
from tests.query.differential.kinds import Kinds
from tests.query.differential.schema import ColumnSpec, Tables, TableSpec, quoter

# What each kind of query yields: names it must, names it may; amounts come last.
KEYS = {
    "stock": (("item", "warehouse"), ("location", "lot", "serial", "owner", "project", "status", "expiry")),
    "orders": (("order_no", "line", "item"), ("warehouse", "due", "department", "status")),
    "movements": (("doc_type", "doc_no", "line", "item", "warehouse", "kind"), ("lot", "posting_date", "posted_by")),
    "items": (("item",), ("name", "spec", "item_group", "active")),
}
AMOUNTS = {
    "stock": (("on_hand",), ("reserved", "aux_on_hand")),
    "orders": (("required", "issued"), ("scrapped", "issue_limit")),
    "movements": (("qty",), ("aux_qty",)),
    "items": ((), ("safety_stock", "reorder_point", "max_stock")),
}
DATED, FLAGGED = ("expiry", "due", "posting_date"), ("active",)


@dataclass(frozen=True)
class Mapping:
    """Tables, queries and parameters of one batch."""

    shape: str
    dialect: str
    tables: list[TableSpec]
    queries: dict[str, str]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def texts(self) -> list[MappingText]:
        return [MappingText(kind, sql, f"{kind}.sql") for kind, sql in self.queries.items()]

    def create(self) -> list[str]:
        return [table.create(self.dialect) for table in self.tables]


@dataclass
class From:
    """A FROM clause with its joins, and the columns that may be used behind it."""

    maker: "Maker"
    sql: str
    columns: list[Col]

    def join(
        self, alias: str, table: TableSpec, pairs: Sequence[tuple[str, ColumnSpec]], *, left: bool, more: bool = False
    ) -> "From":
        """JOIN table ON each column = the SQL beside it; `more` adds a condition to ON."""
        quote, known = self.maker.quote, columns_of(table, alias, self.maker.dialect)
        sides = [(f"{alias}.{quote(c.name)}", other) for other, c in pairs]
        on = [" = ".join(s if self.maker.rng.random() < 0.7 else reversed(s)) for s in sides]
        columns = self.columns + known
        if more:
            on.append(f"({Sql(self.maker.rng, self.maker.dialect, columns).condition(1)})")
        self.maker.rng.shuffle(on)
        self.sql += f" {'LEFT JOIN' if left else 'JOIN'} {quote(table.name)} {alias} ON {' AND '.join(on)}"
        self.columns = columns
        return self


@dataclass(frozen=True)
class Output:
    """A column of a query: what family of expression every arm must yield there."""

    name: str
    family: str
    text_class: tuple[str, bool] = ("", False)


class Maker:
    """Draws one mapping."""

    def __init__(self, rng: Random, dialect: str) -> None:
        self.rng, self.dialect = rng, dialect
        self.kinds = Kinds(rng, dialect)
        self.tables = Tables(rng, self.kinds)
        self.quote = quoter(dialect)
        self.queries: dict[str, str] = {}
        self.params: dict[str, Any] = {}

    def mapping(self, shape: str) -> Mapping:
        return Mapping(shape, self.dialect, self.tables.made, self.queries, self.params)

    def sql(self, columns: list[Col]) -> Sql:
        return Sql(self.rng, self.dialect, columns)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    # ---- tables

    def dimension(self, extra: int = 3, width: int | None = None) -> TableSpec:
        return self.tables.table(self.tables.key_columns(width), self.tables.some(extra))

    def fact(self, refs: Sequence[ColumnSpec], extra: int = 2, families: Sequence[str] = ()) -> TableSpec:
        """A table with an exact amount, references, and some more."""
        columns = [*refs, *self.tables.extras(["decimal", *families]), *self.tables.some(extra)]
        return self.tables.table(self.tables.key_columns(rows=12), columns)

    # ---- clauses

    def start(self, table: TableSpec, alias: str) -> From:
        return From(self, f"{self.quote(table.name)} {alias}", columns_of(table, alias, self.dialect))

    def refs(self, alias: str, refs: Sequence[ColumnSpec], key: Sequence[ColumnSpec]) -> list[tuple[str, ColumnSpec]]:
        return [(f"{alias}.{self.quote(r.name)}", k) for r, k in zip(refs, key, strict=True)]

    def computed(
        self, alias: str, table: TableSpec, refs: Sequence[ColumnSpec], key: Sequence[ColumnSpec], *, outer: bool
    ) -> list[tuple[str, ColumnSpec]]:
        """The same with expressions over the table's columns; `outer`: NULL where all of them are."""
        sql = self.sql(columns_of(table, alias, self.dialect))
        plain = self.refs(alias, refs, key)
        return [(c if self.chance(0.25) else sql.computed(Col(c, k.kind), outer=outer), k) for c, k in plain]

    def where(self, columns: list[Col]) -> str:
        """Mostly something most rows pass: an answer without rows says nothing."""
        sql = self.sql(columns)
        if self.chance(0.4):
            return ""
        if self.chance(0.5):
            return f" WHERE {sql.condition(2)} OR {sql.condition(1)}"
        return f" WHERE {sql.condition(1)}"

    # ---- queries

    def add(self, kind: str, arms: Sequence[From], *, head: str = "", grouped: bool | None = None) -> None:
        """A query of one or several arms; an arm's columns decide what can be yielded."""
        outputs = self._outputs(kind, [a.columns for a in arms])
        grouped = self.chance(0.2) if grouped is None else grouped
        self.queries[kind] = head + " UNION ALL ".join(
            self._arm(outputs, arm, first=i == 0, grouped=grouped) for i, arm in enumerate(arms)
        )

    def _outputs(self, kind: str, scopes: list[list[Col]]) -> list[Output]:
        must, may = KEYS[kind]
        names = [*must, *(n for n in may if self.chance(0.4))]
        keys = [self._output(n, scopes) for n in names]
        if self.chance(0.3):
            keys.append(Output("item_id", "whole"))
        must, may = AMOUNTS[kind]
        amounts = [*must, *self.rng.sample(may, self.rng.randint(0 if must else 1, len(may)))]
        return [*keys, *(Output(n, self._amount_family(scopes)) for n in amounts)]

    def _amount_family(self, scopes: list[list[Col]]) -> str:
        doubles = all(self.sql(s).of("double") for s in scopes)
        return "double" if doubles and self.chance(0.3) else "number"

    def _output(self, name: str, scopes: list[list[Col]]) -> Output:
        if name in DATED:
            return Output(name, "date")
        if name in FLAGGED:
            one = len(scopes) == 1 and self.sql(scopes[0]).of("flag")
            return Output(name, "flag") if one else Output(name, "whole")
        classes = [c for c in self.sql(scopes[0]).text_classes() if not c[1] or len(scopes) == 1]
        if not classes or self.chance(0.2):
            return Output(name, "whole")
        return Output(name, "text", self.rng.choice(classes))

    def _arm(self, outputs: list[Output], arm: From, *, first: bool, grouped: bool) -> str:
        sql = self.sql(arm.columns)
        summed = {o.name for o in outputs if grouped and o.family in ("number", "double")}
        values = [self._value(sql, o, may_be_null=not first and o.name not in summed) for o in outputs]
        amounts = {i for i, o in enumerate(outputs) if o.family in ("number", "double")}
        shown = [f"SUM({v})" if grouped and i in amounts else v for i, v in enumerate(values)]
        named = [f"{v} AS {o.name}" for v, o in zip(shown, outputs, strict=True)]
        listed = self._grouping(values, amounts) if grouped else []
        order = f" GROUP BY {', '.join(listed)}" if listed else ""
        return f"SELECT {', '.join(named)} FROM {arm.sql}{self.where(arm.columns)}{order}"

    @staticmethod
    def _grouping(values: list[str], amounts: set[int]) -> list[str]:
        keys = [v for i, v in enumerate(values) if i not in amounts]
        return list(dict.fromkeys(k for k in keys if "." in k))

    def _value(self, sql: Sql, output: Output, *, may_be_null: bool) -> str:
        if may_be_null and self.chance(0.1):
            return "NULL"
        if output.family == "text":
            return sql.text(output.text_class)
        if output.family == "double":
            return sql.double()
        return {"whole": sql.whole_key, "date": sql.date, "flag": sql.flag, "number": sql.number}[output.family]()
