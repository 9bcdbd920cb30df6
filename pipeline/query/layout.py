"""One captured table as generated code sees it: folded names, types, keys, positions in a remembered row."""

from collections.abc import Mapping

from pipeline.domain.catalog import Column, Table
from pipeline.query.parse import fold_name
from pipeline.query.types import Type, column_type


class TablePlan:
    """One captured table. Columns are named as the dialect folds them; `needed` are theirs in catalog order."""

    def __init__(self, table: Table, dialect: str, number: int) -> None:
        self.table, self.id = table, f"T{number}"
        self.columns = {fold_name(dialect, c.name): c for c in table.columns.values()}
        self.types: Mapping[str, Type] = {n: column_type(c, dialect) for n, c in self.columns.items()}
        self.pk = tuple(fold_name(dialect, c) for c in table.primary_key)
        self.keys = (self.pk, *(tuple(fold_name(dialect, c) for c in u) for u in table.unique))
        self.used: set[str] = set(self.pk)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that some query looks at, and the primary key: what a remembered row holds."""
        return tuple(n for n in self.columns if n in self.used)

    def position(self, column: str) -> int:
        """Where a needed column stands in a remembered row."""
        return self.needed.index(column)

    def nullable(self, column: str) -> bool:
        """Whether a row may hold NULL there."""
        return column not in self.pk and self.columns[column].nullable

    def column(self, name: str) -> Column:
        """The catalog's column."""
        return self.columns[name]
