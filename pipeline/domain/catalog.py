"""What the ERP's schema is: tables, columns, types, keys. Read once by `apply`, then stored with the applied source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is the ERP's own spelling, e.g. `numeric(18,4)`; `collation` None = the database's default.

    `identity` is the database's number of table and column, `16385.2`, which a rename leaves alone; '' = unknown.
    """

    name: str
    type: str
    nullable: bool = True
    collation: str | None = None
    identity: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `name` is `schema.table` as the connector names it; `unique` lists further unique keys."""

    name: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()

    @property
    def short(self) -> str:
        """The name without its schema."""
        return self.name.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables a source may name. `dialect` is postgres, mysql, tsql or oracle."""

    dialect: str
    tables: Mapping[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, dialect: str, *tables: Table) -> Self:
        """A catalog of `tables`, keyed by their names."""
        return cls(dialect, {t.name: t for t in tables})

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, for JSON."""
        tables = [
            {
                "name": t.name,
                "primary_key": list(t.primary_key),
                "unique": [list(u) for u in t.unique],
                "columns": [[c.name, c.type, c.nullable, c.collation, c.identity] for c in t.columns.values()],
            }
            for t in self.tables.values()
        ]
        return {"dialect": self.dialect, "tables": tables}

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        tables = [
            Table(
                t["name"],
                {c[0]: Column(*c) for c in t["columns"]},
                tuple(t["primary_key"]),
                tuple(tuple(u) for u in t["unique"]),
            )
            for t in d["tables"]
        ]
        return cls.of(d["dialect"], *tables)
