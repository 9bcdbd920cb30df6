"""The ERP's database server as capture depends on it: which one it is, where its log ends, and how our slot does.

One short-lived connection a look, with time-outs; the slot, which is ours, is all that is ever changed here.
"""

import contextlib
import time
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from pipeline.adapters import erp_mysql
from pipeline.adapters.erp import connect
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.domain.health import Server, Slot
from pipeline.settings import Source

STATEMENT_TIMEOUT_MS = 10_000
_DROP_S = 30
_MAY = "SELECT has_function_privilege('pg_control_system()', 'execute') AND NOT pg_is_in_recovery()"
_IDENTITY = """
  SELECT system_identifier || '/' || CAST(('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)) AS bit(32))::int
  FROM pg_control_system()
"""
_NOW = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
_SERVER = f"SELECT pg_is_in_recovery() AS standby, CAST({_NOW} - '0/0' AS bigint) AS position"
_SLOT = f"""
  SELECT s.*, CAST(confirmed_flush_lsn - '0/0' AS bigint) AS confirmed,
         CAST(greatest(0, {_NOW} - restart_lsn) AS bigint) AS retained
  FROM pg_replication_slots s WHERE slot_name = :slot
"""  # noqa: S608 - a constant
# Holders of a transaction id are visible to every role, when they began only to some.
_OLDEST = """
  SELECT CAST(extract(epoch FROM max(clock_timestamp() - a.xact_start)) AS float)
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
"""


def look(source: Source) -> Server:
    """How the server does now. NotReadyError when it does not answer, also in the midst of a look."""
    if source.is_mariadb:
        return _look_at_mariadb(source)
    try:
        with connect(source, postgresql_readonly=True) as c:
            c.execute(sa.text("SELECT set_config('statement_timeout', :ms, true)"), {"ms": str(STATEMENT_TIMEOUT_MS)})
            standby, position = c.execute(sa.text(_SERVER)).one()
            may = c.execute(sa.text(_MAY)).scalar_one()
            identity = c.execute(sa.text(_IDENTITY)).scalar_one() if may else ""
            oldest = c.execute(sa.text(_OLDEST)).scalar_one()
            return Server(identity, position, standby, oldest, _slot(c, source))
    except DBAPIError as e:
        state = getattr(e.orig, "sqlstate", None) or "the connection was lost"
        raise NotReadyError(f"source {source.name}: the ERP's database does not answer: {state}", "start it") from None


def _look_at_mariadb(source: Source) -> Server:
    try:
        with connect(source) as c:
            position, kept = erp_mysql.last_gtid(c).order, erp_mysql.log_kept_s(c)
            return Server("", position, standby=False, oldest_s=None, slot=None, has_slots=False, kept_s=kept)
    except DBAPIError as e:
        code = e.orig.args[0] if e.orig is not None and e.orig.args else "the connection was lost"
        raise NotReadyError(f"source {source.name}: the ERP's database does not answer: {code}", "start it") from None


def _slot(c: sa.Connection, source: Source) -> Slot | None:
    row = c.execute(sa.text(_SLOT), {"slot": source.slot_name}).mappings().first()
    return None if row is None else Slot(
        source.slot_name, row["active"], row.get("wal_status") or "", row["retained"] or 0, row.get("safe_wal_size"),
        row["confirmed"],
    )  # fmt: skip


class _Holder(NamedTuple):
    pid: int | None


def drop_slot(source: Source) -> bool:
    """Drop the source's slot, so that nothing reads it; True when there was one.

    What still reads it is capture of ours that was stopped, and is ended. RefusedError when that does not help.
    """
    if source.is_mariadb:
        return False
    deadline, found = time.monotonic() + _DROP_S, False
    while (holder := _try_to_drop(source)) is not None:
        found = True
        if time.monotonic() > deadline:
            what = f"replication slot {source.slot_name} is still read, by process {holder.pid}"
            raise RefusedError(what, f"as a superuser: SELECT pg_terminate_backend({holder.pid}); then apply again")
        time.sleep(0.2)
    return found


def _try_to_drop(source: Source) -> _Holder | None:
    """None when there is no slot (any more)."""
    bound: dict[str, Any] = {"slot": source.slot_name}
    with connect(source, isolation_level="AUTOCOMMIT") as c:
        row = c.execute(sa.text(_SLOT), bound).mappings().first()
        if row is None:
            return None
        act = "SELECT pg_terminate_backend(:pid)" if row["active_pid"] else "SELECT pg_drop_replication_slot(:slot)"
        with contextlib.suppress(DBAPIError):  # in use again, or not ours to end: the deadline tells
            c.execute(sa.text(act), bound | {"pid": row["active_pid"]})
        return _Holder(row["active_pid"])
