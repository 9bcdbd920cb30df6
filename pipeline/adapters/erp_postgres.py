"""PostgreSQL's catalog: tables, columns with types and collations, keys."""

from collections.abc import Collection
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from pipeline.domain.catalog import Catalog, Column, Table

# From pg_catalog, not information_schema: that one hides what the least-privilege role may not select.
_TABLES = """
  SELECT c.oid, n.nspname || '.' || c.relname AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (current_schemas(false))
    AND (CAST(:tables AS text[]) IS NULL OR n.nspname || '.' || c.relname = ANY (:tables))
"""
_COLUMNS = f"""
  WITH t AS ({_TABLES})
  SELECT t.name, a.attname,
         CASE y.typtype WHEN 'd' THEN format_type(y.typbasetype, y.typtypmod)
                        ELSE format_type(a.atttypid, a.atttypmod) END,
         NOT a.attnotnull, NULLIF(k.collname, 'default'), t.oid || '.' || a.attnum
  FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_collation k ON k.oid = a.attcollation
  ORDER BY t.name, a.attnum
"""  # noqa: S608 - two constants of this module
# A partial or computed unique index promises nothing about the columns alone; INCLUDEd columns are no key.
_KEYS = f"""
  WITH t AS ({_TABLES})
  SELECT t.name, i.indisprimary, array_agg(CAST(a.attname AS text) ORDER BY k.place)
  FROM t JOIN pg_index i ON i.indrelid = t.oid
  CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
  WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
  GROUP BY t.name, i.indexrelid, i.indisprimary ORDER BY t.name, i.indexrelid
"""  # noqa: S608 - two constants of this module


def inspect(connection: sa.Connection, tables: Collection[str] | None = None) -> Catalog:
    """The catalog of `tables` (`schema.table`), or of every table on the role's search path."""
    bound = {"tables": None if tables is None else list(tables)}
    columns = connection.execute(sa.text(_COLUMNS), bound).all()
    keys = connection.execute(sa.text(_KEYS), bound).all()
    return Catalog.of("postgres", *(_table(name, list(rows), keys) for name, rows in groupby(columns, lambda r: r[0])))


def _table(name: str, rows: list[Any], keys: Collection[Any]) -> Table:
    primary = next((tuple(k[2]) for k in keys if k[0] == name and k[1]), ())
    unique = tuple(tuple(k[2]) for k in keys if k[0] == name and not k[1])
    return Table(name, {r[1]: Column(*r[1:]) for r in rows}, primary, unique)
