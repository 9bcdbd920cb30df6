"""The ERP's database: its catalog, its own answer to a mapping query, a mark in its change log. Never written to.

PostgreSQL and MariaDB; what differs is here, in their catalogs (`erp_postgres`, `erp_mysql`) and in what is asked of
them before capture (`erp_preflight`, `erp_mysql_preflight`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from pipeline.adapters import erp_mysql, erp_postgres
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.query import BadValueError
from pipeline.settings import Source

CONNECT_TIMEOUT_S = 5
# a peer that is gone without a word is noticed within half a minute
_HALF_OPEN = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

# The planner orders up to this many joined tables by their cost; by default it takes those beyond 8 as written.
_SESSION = """
  SELECT set_config('TimeZone', :zone, true), set_config('join_collapse_limit', '12', true)
"""

_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_NAMES = {1044, 1054, 1064, 1142, 1143, 1146, 1305, 1370}  # MariaDB: a name, a right, the syntax
_DENIED = 1045

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
    driver, name, extra = (
        ("mysql+pymysql", "program_name", {})
        if source.is_mariadb
        else ("postgresql+psycopg", "application_name", _HALF_OPEN)
    )
    url = sa.make_url(source.database).set(drivername=driver, password=source.secret)
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, name: "onhand", **extra}
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
    try:
        connection = engine.connect().execution_options(**options)
    except OperationalError as e:
        raise _unreachable(source, url, e) from None
    with connection:
        yield connection


def _unreachable(source: Source, url: sa.URL, e: OperationalError) -> NotReadyError:
    where = f"{url.host}:{url.port or source.default_port}/{url.database}"
    said = str(e.orig.args[-1] if source.is_mariadb and e.orig is not None else e.orig)
    reason = said.strip().splitlines()[0].rpartition("failed: ")[2]
    fix = f"correct database in [sources.{source.name}], or start the server"
    if "password" in said or "authentication" in said or _code(e) == _DENIED:
        fix = f"write the password of {url.username} into the password_file of [sources.{source.name}]"
    return NotReadyError(f"source {source.name}: no connection to {where} as {url.username}: {reason}", fix)


def inspect(source: Source, tables: Collection[str] | None = None) -> Catalog:
    """The catalog of `tables` (`schema.table`), or of every table on the role's search path."""
    with connect(source) as c:
        catalog = erp_mysql.inspect(c, tables) if source.is_mariadb else erp_postgres.inspect(c, tables)
    if not catalog.tables and tables is None:
        role = sa.make_url(source.database).username
        grant = "GRANT SELECT ON the mapped tables" if source.is_mariadb else "GRANT USAGE ON SCHEMA public"
        fix = f"as a superuser: {grant} TO {role};  (or name the ERP's database in `database`)"
        raise NotReadyError(f"source {source.name}: {role} sees no table in its search path", fix)
    return catalog


def mark(source: Source, text: str) -> int:
    """A position, as its order, at which all that is committed by now is in the database's change log.

    PostgreSQL: `text` is written into that log (not into any table). MariaDB: its last GTID.
    """
    if source.is_mariadb:
        with connect(source) as c:
            return erp_mysql.last_gtid(c).order
    emit = sa.text("SELECT pg_logical_emit_message(true, :prefix, :text) - CAST('0/0' AS pg_lsn)")
    with connect(source) as c, c.begin():
        return int(c.execute(emit, {"prefix": source.topic_prefix, "text": text}).scalar_one())


def read_groups(source: Source, view: View) -> list[Group]:
    """The ERP's own answer to a mapping query: one consistent read, its day in the source's time zone."""
    return [group for rows in read(source, [view.erp_sql()], view.from_erp) for group in rows]


def read(source: Source, queries: Sequence[str], from_erp: Callable[[Any], T]) -> list[list[T]]:
    """Each query's answer, all of one consistent read, in the source's time zone."""
    with connect(source, isolation_level="REPEATABLE READ", postgresql_readonly=True) as c:
        _begin(source, c)
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


def _begin(source: Source, c: sa.Connection) -> None:
    if source.is_mariadb:
        # an offset: the server may not have loaded the names of zones
        c.execute(sa.text("SET time_zone = :zone"), {"zone": datetime.now(source.zone).isoformat()[-6:]})
        c.exec_driver_sql(_SNAPSHOT)
    else:
        c.execute(sa.text(_SESSION), {"zone": source.time_zone})


def _code(e: DBAPIError) -> Any:
    return e.orig.args[0] if e.orig is not None and e.orig.args else None


def _failed(source: Source, e: DBAPIError) -> RefusedError:
    """A name, a right or the syntax may be quoted; the text of any other error may hold a row's value."""
    state = getattr(e.orig, "sqlstate", None) or ""
    if source.is_mariadb:
        says = str(e.orig.args[-1]) if e.orig is not None and _code(e) in _NAMES else f"error {_code(e)}"
    else:
        says = str(e.orig).splitlines()[0] if state.startswith("42") else f"SQLSTATE {state}"
    fix = f"onhand apply {source.name}   (it names the missing right, or what changed in the ERP)"
    return RefusedError(f"source {source.name}: the ERP's database refuses the mapping query: {says}", fix)
