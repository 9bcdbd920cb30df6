"""MySQL's and MariaDB's catalog: tables, columns with types and collations, keys.

Columns are read from information_schema: an inspector does not say a collation that the table or the database hands
down, and warns of every type it does not know. Keys are read by inspection (SHOW CREATE TABLE, which takes SELECT on
the whole table, as Debezium does too): to a role that may read some columns only, information_schema shows a key of
two columns as a key of one, and a join on it would lose rows without a word.
"""

import math
import warnings
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SAWarning

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.domain.change import Position
from pipeline.domain.errors import RefusedError

# A view has no rows in the log. `name` and the rest in this order, as MySQL 8 answers with names in capitals.
_COLUMNS = """
  SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE = 'YES', c.COLLATION_NAME
  FROM information_schema.COLUMNS c
  JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
  WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'
  ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""
_DENIED = 1142


def inspect(connection: sa.Connection, tables: Collection[str] | None = None) -> Catalog:
    """The catalog of `tables` (`database.table`), or of every table in the connection's database the role may see.

    Raises RefusedError for a table of which the role may read some columns only.
    """
    database, inspector = connection.engine.url.database, sa.inspect(connection)
    rows = groupby(connection.exec_driver_sql(_COLUMNS).all(), lambda r: r[0])
    wanted = ((f"{database}.{short}", list(r)) for short, r in rows)
    return Catalog.of("mysql", *(_table(inspector, n, r) for n, r in wanted if tables is None or n in tables))


def last_gtid(connection: sa.Connection) -> Position:
    """The GTID of the last transaction in the binlog. Raises RefusedError where there are several domains, or none."""
    gtids = str(connection.exec_driver_sql("SELECT @@gtid_binlog_pos").scalar_one())
    if gtids.count("-") != 2:
        what = f"the binlog has no one order: @@gtid_binlog_pos is {gtids!r}, wanted one domain"
        raise RefusedError(what, "let all that write to this server do so under one gtid_domain_id")
    return Position.parse(gtids)


def log_kept_s(connection: sa.Connection) -> float:
    """How many seconds the server keeps its binlog; infinite where it never removes it by itself."""
    # before MariaDB 10.6 there are days only
    variables = "SHOW VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')"
    found = {str(name).lower(): float(value) for name, value in connection.exec_driver_sql(variables)}
    seconds = found.get("binlog_expire_logs_seconds", found.get("expire_logs_days", 0) * 86_400)
    return seconds or math.inf


def _table(inspector: sa.Inspector, name: str, rows: Sequence[Any]) -> Table:
    short = rows[0][0]
    columns = {r[1]: Column(r[1], r[2], bool(r[3]), r[4]) for r in rows}
    try:
        with warnings.catch_warnings(category=SAWarning, action="ignore"):
            primary = inspector.get_pk_constraint(short)["constrained_columns"]
            indexes = inspector.get_indexes(short)
    except OperationalError as e:
        if e.orig is None or e.orig.args[0] != _DENIED:
            raise
        fix = f"GRANT SELECT ON {name} TO the role   (the connector needs the whole table too)"
        raise RefusedError(f"the role may read some columns of {name} only", fix) from None
    unique = tuple(tuple(i["column_names"]) for i in indexes if i["unique"] and _is_whole(i, columns))
    return Table(name, columns, tuple(primary), unique)  # type: ignore[arg-type]  # whole: no part without a name


def _is_whole(index: Any, columns: Collection[str]) -> bool:
    """Whether an index is one of columns: not of an expression, nor of the beginning of a text."""
    lengths = index.get("dialect_options", {}).get("mysql_length")
    return not lengths and all(name in columns for name in index["column_names"])
