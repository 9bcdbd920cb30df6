"""One captured table as generated code sees it: folded names, types, keys, positions in a remembered row."""

from dataclasses import dataclass

from sqlglot import exp

from pipeline.domain.catalog import Column, Table
from pipeline.query.parse import fold_name
from pipeline.query.place import MappingText
from pipeline.query.types import Type, column_type


@dataclass(frozen=True)
class Derived:
    """An `expression` of the query `text` over one table's columns, which stand in it without an alias."""

    text: MappingText
    expression: exp.Expr

    @classmethod
    def of(cls, text: MappingText, expression: exp.Expr) -> "Derived":
        """The expression without its aliases."""
        bare = expression.transform(lambda e: exp.column(e.this.copy()) if isinstance(e, exp.Column) else e)
        return cls(text, bare)


class TablePlan:
    """One captured table. Columns are named as the dialect folds them; `needed` are theirs in catalog order.

    `derived`: columns that no connector delivers, computed from the needed ones as a row comes.
    """

    def __init__(self, table: Table, dialect: str, number: int) -> None:
        self.table, self.id = table, f"T{number}"
        self.columns = {fold_name(dialect, c.name): c for c in table.columns.values()}
        self.types: dict[str, Type] = {n: column_type(c, dialect) for n, c in self.columns.items()}
        self.pk = tuple(fold_name(dialect, c) for c in table.primary_key)
        self.keys = (self.pk, *(tuple(fold_name(dialect, c) for c in u) for u in table.unique))
        self.used: set[str] = set(self.pk)
        self.derived: dict[str, Derived] = {}

    def derive(self, derived: Derived, type_: Type) -> str:
        """The name of the derived column of that type: equal expressions are one column."""
        name = f"{derived.expression!r} {type_.fold}"
        self.derived.setdefault(name, derived)
        self.types.setdefault(name, type_)
        self.used.update(c.name for c in derived.expression.find_all(exp.Column))
        return name

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that some query looks at, and the primary key: what the connector delivers."""
        return tuple(n for n in self.columns if n in self.used)

    @property
    def remembered(self) -> tuple[str, ...]:
        """What a remembered row holds."""
        return (*self.needed, *self.derived)

    def position(self, column: str) -> int:
        """Where a column stands in a remembered row."""
        return self.remembered.index(column)

    def nullable(self, column: str) -> bool:
        """Whether a row may hold NULL there."""
        return column in self.derived or (column not in self.pk and self.columns[column].nullable)

    def shown(self, name: str) -> str:
        """A column as people read it."""
        return self.derived[name].expression.sql() if name in self.derived else self.columns[name].name

    def column(self, name: str) -> Column:
        """The catalog's column."""
        return self.columns[name]
