"""Columns that some sites do not have: where one is missing, the text reads NULL of its type instead."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sqlglot import exp, parse
from sqlglot.errors import ParseError, TokenError

from pipeline.domain.catalog import Catalog, Table
from pipeline.query.parse import fold_name
from pipeline.query.place import MappingText


def without_missing(text: MappingText, catalog: Catalog, optional: Mapping[str, str]) -> MappingText:
    """`text` with every column that is `optional` ("table.column" -> SQL type) and not in `catalog` as a typed NULL.

    A text that cannot be read is returned as it is: compiling it says why. Places in a line move where one is replaced.
    """
    missing = {
        (fold_name(catalog.dialect, t.short), fold_name(catalog.dialect, column)): type_
        for name, type_ in optional.items()
        for table, _, column in [name.rpartition(".")]
        for t in catalog.tables.values()
        if names(catalog.dialect, t, table) and not has(catalog.dialect, t, column)
    }
    try:
        trees = [t for t in parse(text.sql, read=catalog.dialect) if t is not None] if missing else []
    except (ParseError, TokenError):
        return text
    found = {(a, b): new for tree in trees for a, b, new in _Missing(catalog.dialect, missing, tree).replaced()}
    sql = text.sql
    for (start, end), new in sorted(found.items(), reverse=True):
        sql = sql[:start] + new + sql[end:]
    return replace(text, sql=sql)


def names(dialect: str, table: Table, name: str) -> bool:
    """Whether pack.toml's `name` is this table's, with its schema or without."""
    return fold_name(dialect, name) in {fold_name(dialect, table.name), fold_name(dialect, table.short)}


def has(dialect: str, table: Table, column: str) -> bool:
    """Whether the table has the column, by the dialect's rules of case."""
    return fold_name(dialect, column) in {fold_name(dialect, c) for c in table.columns}


class _Missing:
    """The places of one statement where a missing column stands."""

    def __init__(self, dialect: str, missing: Mapping[tuple[str, str], str], tree: exp.Expr) -> None:
        self.dialect, self.missing, self.tree = dialect, missing, tree

    def _folded(self, name: str) -> str:
        return fold_name(self.dialect, name)

    def replaced(self) -> Iterator[tuple[int, int, str]]:
        """(start, end, new text) of each."""
        for select in self.tree.find_all(exp.Select):
            source = select.args.get("from_")
            sources = [source.this, *(j.this for j in select.args.get("joins") or ())] if source else []
            tables = {self._folded(s.alias_or_name): self._folded(s.name) for s in sources if isinstance(s, exp.Table)}
            for column in select.find_all(exp.Column):
                if column.parent_select is select and (type_ := self._missing(column, tables)):
                    yield self._place(column, type_)

    def _missing(self, column: exp.Column, tables: Mapping[str, str]) -> str | None:
        """The type of a missing column; one without its alias must be no other source's, so only one table counts."""
        if column.table:
            return self.missing.get((tables.get(self._folded(column.table), ""), self._folded(column.name)))
        types = [self.missing.get((t, self._folded(column.name))) for t in tables.values()]
        return types[0] if len(types) == 1 else None

    def _place(self, column: exp.Column, type_: str) -> tuple[int, int, str]:
        spans = [i.meta for i in column.find_all(exp.Identifier)]
        is_output = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
        name = f" AS {column.this.sql(self.dialect)}" if is_output else ""
        start, end = min(m["start"] for m in spans), max(m["end"] for m in spans) + 1
        return start, end, f"CAST(NULL AS {type_}){name}"
