"""Packs of real ERPs as mappings: their own tables and queries, with values that meet in joins and pass the filters."""

from collections.abc import Sequence
from typing import Any

from sqlglot import exp, parse_one

from pipeline.domain.catalog import Catalog, Column, Table
from tests.query.differential.kinds import DATES, DOUBLES, STAMPS, Kind
from tests.query.differential.mapping import Maker
from tests.query.differential.schema import ColumnSpec, TableSpec
from tests.query.schemas import pack

PACKS = {"postgres": ("tryton8", "odoo17"), "mysql": ("erpnext",)}
IDS = tuple(range(1, 9))
AMOUNTS = ("0", "1.5", "-2.25", "1000000")


def packs(m: Maker) -> None:
    """A draft pack of an ERP."""
    catalog, texts, params = pack(m.rng.choice(PACKS[m.dialect]))
    m.queries = {t.kind: t.sql for t in texts}
    m.params = params
    words = [w for t in texts for w in _words(t.sql, m.dialect)]
    given = [v for values in params.values() for v in _texts(values)]
    m.tables.made = [_table(t, m.dialect, [*dict.fromkeys([*words, *given, "A", "a", ""])]) for t in _of(catalog)]


def _of(catalog: Catalog) -> Sequence[Table]:
    return list(catalog.tables.values())


def _texts(value: Any) -> list[str]:
    return [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]


def _words(sql: str, dialect: str) -> list[str]:
    """The texts a query compares with."""
    literals = parse_one(sql, read=dialect).find_all(exp.Literal)
    return [w.name for w in literals if w.is_string and not w.name[:4].isdigit()]


def _table(table: Table, dialect: str, words: list[str]) -> TableSpec:
    columns = {c.name: _column(c, dialect, words) for c in table.columns.values()}
    for name in table.primary_key:
        columns[name].values = [v for v in columns[name].values if v is not None][
            : 8 if len(table.primary_key) == 1 else 3
        ]
    return TableSpec(table.short, list(columns.values()), [columns[c] for c in table.primary_key])


def _column(column: Column, dialect: str, words: list[str]) -> ColumnSpec:
    kind = _kind(column.type.lower(), dialect, words)
    # Most often a value: a pack's arms end at the first NULL.
    values = [*kind.values, *kind.values, None] if column.nullable else list(kind.values)
    return ColumnSpec(column.name, kind, column.nullable, values)


def _kind(spelling: str, dialect: str, words: list[str]) -> Kind:
    if spelling.startswith("tinyint"):
        return Kind("tinyint(1)", "flag", (1, 0, 0))
    if "int" in spelling:
        return Kind(spelling, "int", IDS if dialect == "postgres" else (0, 1, 1, 2))
    if spelling.startswith(("numeric", "decimal")):
        return Kind(spelling, "decimal", AMOUNTS)
    if spelling.startswith("double"):
        return Kind(spelling, "double", DOUBLES)
    if spelling.startswith("bool"):
        return Kind(spelling, "flag", (True, True, False))
    if spelling == "date":
        return Kind(spelling, "date", DATES)
    if spelling.startswith(("timestamp", "datetime")):
        return Kind(spelling, "stamp", STAMPS)
    if spelling.startswith("json"):
        return Kind(spelling, "json", ({"en_US": "A"}, {"en_US": "a", "de": "b"}, {"de": "x"}, {"en_US": None}))
    size = int(spelling.partition("(")[2].rstrip(")") or 99)
    collation = "utf8mb4_general_ci" if dialect == "mysql" else ""
    return Kind(spelling, "text", tuple(w for w in words if len(w) <= size), collation=collation)
