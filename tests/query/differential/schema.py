"""Random tables: names that need quoting, keys of one or two columns, unique keys, columns of every kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.query.differential.kinds import Kind, Kinds, distinct

PLAIN = ("id", "no", "code", "qty", "kind_of", "ref_1", "x", "y2", "z_", "amount", "state", "remark", "n", "m1", "tag")
QUOTED = ("Order", "from", "Group", "Item No", "select", "ключ", "class", "a-b", "User", "limit", "100", "Naïve", "é_1")
EXTRA = ("int", "decimal", "decimal", "text", "text", "date", "stamp", "flag", "double")
_METHOD = {"int": "integer"}
NULLABLE = 0.7


@dataclass
class ColumnSpec:
    """A column; `values` are what rows draw from."""

    name: str
    kind: Kind
    nullable: bool
    values: list[Any]


@dataclass
class TableSpec:
    """A table as CREATE TABLE makes it and rows fill it."""

    name: str
    columns: list[ColumnSpec]
    pk: list[ColumnSpec]
    unique: list[list[ColumnSpec]] = field(default_factory=list)

    def create(self, dialect: str) -> str:
        """The statement."""
        quote = quoter(dialect)
        parts = [f"{quote(c.name)} {c.kind.sql(dialect)}{' NULL' if c.nullable else ' NOT NULL'}" for c in self.columns]
        listed = lambda key: ", ".join(quote(c.name) for c in key)  # noqa: E731 -- a word for two lines
        parts += [f"PRIMARY KEY ({listed(self.pk)})", *(f"UNIQUE ({listed(u)})" for u in self.unique)]
        return f"CREATE TABLE {quote(self.name)} ({', '.join(parts)})"

    def draw(self, rng: Random) -> dict[str, Any]:
        """A random row."""
        return {c.name: rng.choice(c.values) for c in self.columns}


def quoter(dialect: str) -> Any:
    """How a name is written so that it is always one."""
    mark = "`" if dialect == "mysql" else '"'
    return lambda name: f"{mark}{name}{mark}"


class Tables:
    """Makes the tables of one mapping, under names of their own."""

    def __init__(self, rng: Random, kinds: Kinds) -> None:
        self.rng, self.kinds = rng, kinds
        self.made: list[TableSpec] = []
        self._names = self._draw_names()

    def _draw_names(self) -> Iterator[str]:
        """Ever new names, told apart without regard to case, as MySQL does."""
        pool = [*self.rng.sample(PLAIN, len(PLAIN)), *self.rng.sample(QUOTED, len(QUOTED))]
        self.rng.shuffle(pool)
        n = 0
        while True:
            yield from (name + (str(n) if n else "") for name in pool)
            n += 1

    def column(self, kind: Kind, *, nullable: bool | None = None, values: Sequence[Any] | None = None) -> ColumnSpec:
        if nullable is None:
            nullable = self.rng.random() < NULLABLE
        drawn = list(kind.values if values is None else values)
        return ColumnSpec(next(self._names), kind, nullable, [*drawn, None] if nullable else drawn)

    def key_columns(self, width: int | None = None, rows: int = 6) -> list[ColumnSpec]:
        """One column of at most `rows` values, or two of two or three."""
        width = width or (2 if self.rng.random() < 0.25 else 1)
        columns = []
        while len(columns) < width:
            kind = self.kinds.key()
            values = distinct(kind, kind.values)[: rows if width == 1 else 3]
            if len(values) > 1 and (width > 1 or len(values) > 3):
                columns.append(self.column(kind, nullable=False, values=values))
        return columns

    def references(self, key: Sequence[ColumnSpec], *, dangling: bool = True) -> list[ColumnSpec]:
        """Columns that refer to a key, now and then to none."""
        columns = []
        for c in key:
            known = [v for v in c.values if v is not None]
            stray = [v for v in c.kind.values if v not in known][:1] if dangling else []
            columns.append(self.column(c.kind, values=[*known, *known, *stray]))
        return columns

    def extras(self, families: Sequence[str]) -> list[ColumnSpec]:
        return [self.column(self.kinds.of(_METHOD.get(f, f))) for f in families]

    def some(self, n: int) -> list[ColumnSpec]:
        """Any n columns."""
        return self.extras(self.rng.choices(EXTRA, k=n))

    def table(
        self, pk: list[ColumnSpec], columns: list[ColumnSpec], unique: Sequence[list[ColumnSpec]] = ()
    ) -> TableSpec:
        shown = [*pk, *columns]
        self.rng.shuffle(shown)
        made = TableSpec(next(self._names), shown, pk, list(unique))
        self.made.append(made)
        return made
