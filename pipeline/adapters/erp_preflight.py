"""Is the ERP's database ready to be captured? Asked before anything is set up; each lack with the SQL that mends it."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pipeline.adapters.erp import connect
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import RefusedError
from pipeline.settings import Source

Captured = Mapping[str, tuple[str, ...]]
PUBLISHED = ("insert", "update", "delete", "truncate")
_COLUMN_LISTS = 150000  # PostgreSQL 15 publishes chosen columns; before that always whole rows
_LONG_S = 1.0  # a transaction still open after this long holds up a new slot noticeably
_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects carry no types


class Lack(NamedTuple):
    """What is missing and the SQL (or the step) that mends it."""

    what: str
    fix: str


def preflight(source: Source, catalog: Catalog, captured: Captured) -> list[str]:
    """Raise RefusedError naming every lack at once; return warnings."""
    with connect(source) as c:
        lacks = [
            *_wal_level(c),
            *_role(c),
            *_rights(c, captured),
            *_keys(catalog, captured),
            *_deferrable(c, catalog, captured),
            *_publication(c, source, captured),
            *_slot(c, source),
        ]
        if lacks:
            raise _refused(source, lacks)
        return [] if _has_slot(c, source) else _open_transactions(c)


def slot_exists(source: Source) -> bool:
    """True when the server keeps the source's changes."""
    with connect(source) as c:
        return _has_slot(c, source)


def _refused(source: Source, lacks: list[Lack]) -> RefusedError:
    fixes = "\n       ".join(lack.fix for lack in lacks)
    if len(lacks) == 1:
        return RefusedError(f"source {source.name}: {lacks[0].what}", f"as a superuser of the ERP's database: {fixes}")
    what = "\n  - ".join([f"source {source.name}: the ERP's database is not ready", *(lack.what for lack in lacks)])
    return RefusedError(what, f"as a superuser of the ERP's database, in this order:\n       {fixes}")


def _one(c: sa.Connection, sql: str, **bound: Any) -> Any:
    return c.execute(sa.text(sql), bound).scalar_one_or_none()


def _quoted(name: str) -> str:
    return ".".join(_PREPARER.quote(part) for part in name.split("."))


def _wal_level(c: sa.Connection) -> list[Lack]:
    level = _one(c, "SELECT current_setting('wal_level')")
    if level == "logical":
        return []
    return [
        Lack(f"wal_level is {level}, not logical", "ALTER SYSTEM SET wal_level = 'logical';  then restart PostgreSQL")
    ]


def _role(c: sa.Connection) -> list[Lack]:
    role = _one(c, "SELECT rolname FROM pg_roles WHERE rolname = current_user AND NOT (rolreplication OR rolsuper)")
    return [Lack(f"role {role} may not replicate", f"ALTER ROLE {_quoted(role)} REPLICATION;")] if role else []


_MAY_NOT_SELECT = """
  SELECT w.name, w.col FROM unnest(CAST(:names AS text[]), CAST(:columns AS text[])) AS w(name, col)
  JOIN pg_namespace n ON n.nspname = split_part(w.name, '.', 1)
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = split_part(w.name, '.', 2)
  WHERE NOT has_column_privilege(c.oid, w.col, 'SELECT')
"""


def _rights(c: sa.Connection, captured: Captured) -> list[Lack]:
    pairs = [(table, column) for table, columns in captured.items() for column in columns]
    bound = {"names": [t for t, _ in pairs], "columns": [n for _, n in pairs]}
    missing = c.execute(sa.text(_MAY_NOT_SELECT), bound).all()
    role = _quoted(_one(c, "SELECT current_user"))
    return [
        Lack(
            f"{role} may not select {', '.join(n for t, n in missing if t == table)} of {table}",
            f"GRANT SELECT ({_columns(captured[table])}) ON {_quoted(table)} TO {role};",
        )
        for table in sorted({t for t, _ in missing})
    ]


def _columns(columns: tuple[str, ...]) -> str:
    return ", ".join(_quoted(c) for c in columns)


def _keys(catalog: Catalog, captured: Captured) -> list[Lack]:
    """Rows without a key would share one key of the log, and PostgreSQL would refuse the ERP's own updates."""
    without = [t for t in captured if not catalog.tables[t].primary_key]
    return [
        Lack(
            f"table {t} has no primary key, its rows cannot be told apart",
            f"ALTER TABLE {_quoted(t)} ADD PRIMARY KEY (..);",
        )
        for t in without
    ]


_DEFERRABLE = """
  SELECT n.nspname || '.' || c.relname, k.conname
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE k.contype = 'p' AND k.condeferrable AND n.nspname || '.' || c.relname = ANY (:names)
"""


def _deferrable(c: sa.Connection, catalog: Catalog, captured: Captured) -> list[Lack]:
    """Keys may be shifted onto each other in one statement then: a key's new row comes before its old row's delete."""
    return [
        Lack(
            f"the primary key of {table} is DEFERRABLE: where keys change places, rows would be lost",
            f"ALTER TABLE {_quoted(table)} DROP CONSTRAINT {_quoted(name)},"
            f" ADD PRIMARY KEY ({_columns(catalog.tables[table].primary_key)});",
        )
        for table, name in c.execute(sa.text(_DEFERRABLE), {"names": list(captured)})
    ]


def _publication(c: sa.Connection, source: Source, captured: Captured) -> list[Lack]:
    name = source.publication
    found = c.execute(sa.text("SELECT * FROM pg_publication WHERE pubname = :name"), {"name": name}).mappings().first()
    if found is None:
        return [Lack(f"there is no publication {name}", f"CREATE PUBLICATION {name} FOR TABLE {_tables(c, captured)};")]
    lacks = []
    if unpublished := [kind for kind in PUBLISHED if not found[f"pub{kind}"]]:
        fix = f"ALTER PUBLICATION {name} SET (publish = '{', '.join(PUBLISHED)}');"
        lacks.append(Lack(f"publication {name} leaves out {', '.join(unpublished)}", fix))
    if wrong := _unpublished(c, name, captured):
        fix = f"ALTER PUBLICATION {name} SET TABLE {_tables(c, captured)};"
        lacks.append(Lack(f"publication {name}: {'; '.join(wrong)}", fix))
    return lacks


def _tables(c: sa.Connection, captured: Captured) -> str:
    """What the DBA publishes: the captured columns, of a table with full before-images the whole row."""
    lists = _one(c, "SELECT CAST(current_setting('server_version_num') AS int)") >= _COLUMN_LISTS
    whole = _whole_rows(c, captured)
    shown = [_quoted(t) if t in whole or not lists else f"{_quoted(t)} ({_columns(captured[t])})" for t in captured]
    return ", ".join(shown)


def _whole_rows(c: sa.Connection, captured: Captured) -> set[str]:
    """Tables with REPLICA IDENTITY FULL: under a column list PostgreSQL refuses the ERP's own updates of them."""
    sql = """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relreplident = 'f' AND n.nspname || '.' || c.relname = ANY (:names)"""
    return set(c.execute(sa.text(sql), {"names": list(captured)}).scalars())


def _unpublished(c: sa.Connection, publication: str, captured: Captured) -> list[str]:
    rows = c.execute(sa.text("SELECT * FROM pg_publication_tables WHERE pubname = :name"), {"name": publication})
    published = {f"{r['schemaname']}.{r['tablename']}": r for r in rows.mappings()}
    wrong = [f"table {t} is missing" for t in captured if t not in published]
    for table in captured.keys() & published.keys():
        row = published[table]
        missing = set(captured[table]) - set(row.get("attnames") or captured[table])
        wrong += [f"{table} lacks {', '.join(sorted(missing))}"] if missing else []
        wrong += [f"{table} has a row filter"] if row.get("rowfilter") else []
    return wrong


_SLOT = "SELECT * FROM pg_replication_slots WHERE slot_name = :slot"
_FREE_SLOTS = "SELECT CAST(current_setting('max_replication_slots') AS int) - count(*) FROM pg_replication_slots"


def _has_slot(c: sa.Connection, source: Source) -> bool:
    return c.execute(sa.text(_SLOT), {"slot": source.slot_name}).first() is not None


def _slot(c: sa.Connection, source: Source) -> list[Lack]:
    slot = c.execute(sa.text(_SLOT), {"slot": source.slot_name}).mappings().first()
    drop = f"SELECT pg_drop_replication_slot('{source.slot_name}');"
    if slot is None:
        used = _one(c, "SELECT count(*) FROM pg_replication_slots")
        more = f"ALTER SYSTEM SET max_replication_slots = {used + 2};  then restart PostgreSQL"
        return [] if _one(c, _FREE_SLOTS) > 0 else [Lack("no replication slot is free", more)]
    if slot["plugin"] != "pgoutput" or slot["database"] != _one(c, "SELECT current_database()"):
        what = f"replication slot {source.slot_name} belongs to something else ({slot['plugin']}, {slot['database']})"
        return [Lack(what, f"choose another slot in [sources.{source.name}], or {drop}")]
    if slot["wal_status"] == "lost":
        return [Lack(f"replication slot {source.slot_name} lost its WAL: changes are missing", drop)]
    return []


# Holders of a transaction id are visible to every role, their start only to some: then ask twice.
_WRITERS = """
  SELECT l.pid, CAST(l.transactionid AS text) AS xid, a.usename,
         extract(epoch FROM clock_timestamp() - a.xact_start) AS seconds
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
    AND l.pid IS DISTINCT FROM pg_backend_pid()
"""


def _open_transactions(c: sa.Connection) -> list[str]:
    """A new slot waits for every transaction that is open now, in any database of the server."""
    before = c.execute(sa.text(_WRITERS)).mappings().all()
    if before:
        time.sleep(_LONG_S)
    still = {row["xid"] for row in c.execute(sa.text(_WRITERS)).mappings()} if before else set()
    return [
        f"capture starts only when this open transaction ends: process {row['pid'] or 'none (prepared)'}"
        f" of {row['usename'] or 'a prepared transaction'}"
        + (f", open for {row['seconds']:.0f} s" if row["seconds"] is not None else "")
        for row in before
        if row["xid"] in still
    ]


def waiting_for(source: Source) -> list[str]:
    """The open transactions that hold up a new slot now."""
    with connect(source) as c:
        return _open_transactions(c)
