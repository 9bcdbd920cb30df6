"""The ERP's database: its catalog, its own answer to a mapping query, and a mark in its change log. Never written to.

PostgreSQL for now; what differs between databases is the SQL in this module and in `erp_preflight`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.query import BadValueError
from pipeline.settings import Source

CONNECT_TIMEOUT_S = 5
# a peer that is gone without a word is noticed within half a minute
_HALF_OPEN = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

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
         NOT a.attnotnull, NULLIF(k.collname, 'default')
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

# The planner orders up to this many joined tables by their cost; by default it takes those beyond 8 as written.
_SESSION = """
  SELECT set_config('TimeZone', :zone, true), set_config('join_collapse_limit', '12', true)
"""

T = TypeVar("T")
Group = tuple[tuple[Any, ...], int, tuple[int, ...]]


class View(Protocol):
    """A compiled mapping query, as far as the ERP is concerned."""

    def erp_sql(self) -> str:
        """The query, grouped, in the ERP's dialect."""

    def from_erp(self, row: Any) -> Group:
        """A result row as (key, count, amounts)."""


@contextmanager
def connect(source: Source, **options: Any) -> Iterator[sa.Connection]:
    """A connection as the capture role, one transaction. NotReadyError when there is none to be had."""
    url = sa.make_url(source.database).set(drivername="postgresql+psycopg", password=source.secret)
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "onhand", **_HALF_OPEN}
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
    try:
        connection = engine.connect().execution_options(**options)
    except OperationalError as e:
        raise _unreachable(source, url, str(e.orig)) from None
    with connection:
        yield connection


def _unreachable(source: Source, url: sa.URL, said: str) -> NotReadyError:
    where = f"{url.host}:{url.port or 5432}/{url.database}"
    reason = said.strip().splitlines()[0].rpartition("failed: ")[2]
    fix = f"correct database in [sources.{source.name}], or start the server"
    if "password" in said or "authentication" in said:
        fix = f"write the password of {url.username} into the password_file of [sources.{source.name}]"
    return NotReadyError(f"source {source.name}: no connection to {where} as {url.username}: {reason}", fix)


def inspect(source: Source, tables: Collection[str] | None = None) -> Catalog:
    """The catalog of `tables` (`schema.table`), or of every table on the role's search path."""
    bound = {"tables": None if tables is None else list(tables)}
    with connect(source) as c:
        columns = c.execute(sa.text(_COLUMNS), bound).all()
        keys = c.execute(sa.text(_KEYS), bound).all()
    if not columns and tables is None:
        role = sa.make_url(source.database).username
        fix = f"as a superuser: GRANT USAGE ON SCHEMA public TO {role};  (or name the ERP's database in `database`)"
        raise NotReadyError(f"source {source.name}: {role} sees no table in its search path", fix)
    return Catalog.of("postgres", *(_table(name, list(rows), keys) for name, rows in groupby(columns, lambda r: r[0])))


def _table(name: str, rows: list[Any], keys: Collection[Any]) -> Table:
    primary = next((tuple(k[2]) for k in keys if k[0] == name and k[1]), ())
    unique = tuple(tuple(k[2]) for k in keys if k[0] == name and not k[1])
    return Table(name, {r[1]: Column(*r[1:]) for r in rows}, primary, unique)


def mark(source: Source, text: str) -> int:
    """Write `text` into the database's change log (not into any table); its position, an LSN as a number."""
    emit = sa.text("SELECT pg_logical_emit_message(true, :prefix, :text) - CAST('0/0' AS pg_lsn)")
    with connect(source) as c, c.begin():
        return int(c.execute(emit, {"prefix": source.topic_prefix, "text": text}).scalar_one())


def read_groups(source: Source, view: View) -> list[Group]:
    """The ERP's own answer to a mapping query: one consistent read, its day in the source's time zone."""
    return [group for rows in read(source, [view.erp_sql()], view.from_erp) for group in rows]


def read(source: Source, queries: Sequence[str], from_erp: Callable[[Any], T]) -> list[list[T]]:
    """Each query's answer, all of one consistent read, in the source's time zone."""
    with connect(source, isolation_level="REPEATABLE READ", postgresql_readonly=True) as c:
        c.execute(sa.text(_SESSION), {"zone": source.time_zone})
        try:
            # without parameters a % in the pack's SQL stays what it is
            c.execution_options(no_parameters=True)
            return [[from_erp(row) for row in c.exec_driver_sql(query)] for query in queries]
        except DBAPIError as e:
            raise _failed(source, e) from None
        except BadValueError as e:
            what = f"source {source.name}: the ERP's answer holds what its applied mapping cannot: {e}"
            raise RefusedError(
                what, f"onhand apply {source.name}   (has a column's type changed in the ERP?)"
            ) from None


def _failed(source: Source, e: DBAPIError) -> RefusedError:
    """Class 42 (a name, a right, the syntax) may be quoted; the text of any other error may hold a row's value."""
    state = getattr(e.orig, "sqlstate", None) or ""
    says = str(e.orig).splitlines()[0] if state.startswith("42") else f"SQLSTATE {state}"
    fix = f"onhand apply {source.name}   (it names the missing right, or what changed in the ERP)"
    return RefusedError(f"source {source.name}: the ERP's database refuses the mapping query: {says}", fix)
