"""Is the ERP's database ready to be captured? Asked before anything is set up; each lack with the SQL that mends it."""

import time
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pipeline.adapters import erp_mysql_preflight
from pipeline.adapters.erp import connect
from pipeline.adapters.lack import Captured, Lack
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import RefusedError
from pipeline.settings import Source

PUBLISHED = ("insert", "update", "delete", "truncate")
_COLUMN_LISTS = 150000  # PostgreSQL 15 publishes chosen columns; before that always whole rows
_LONG_S = 1.0  # a transaction still open after this long holds up a new slot noticeably
_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects carry no types


def preflight(
    source: Source, catalog: Catalog, captured: Captured, reread: Collection[str] = ()
) -> tuple[list[Lack], list[str]]:
    """Every lack, and warnings where there is none. Rows of the tables `reread` are to be read again."""
    with connect(source) as c:
        if source.is_mariadb:
            lacks = erp_mysql_preflight.lacks(c, catalog, captured)
            return lacks, [] if lacks else erp_mysql_preflight.warnings(c)
        lacks = [
            *_wal_level(c),
            *_role(c),
            *_rights(c, captured),
            *_keys(catalog, captured),
            *_deferrable(c, catalog, captured),
            *_publication(c, source, captured),
            *_gaps(c, source, {t: captured[t] for t in reread}),
            *_slot(c, source),
        ]
        return lacks, [] if lacks or _has_slot(c, source) else _open_transactions(c)


def check_readable(source: Source, tables: Collection[str]) -> None:
    """Raise RefusedError unless rows of `tables` can be read again beside the stream."""
    with connect(source) as c:
        if lacks := _gaps(c, source, dict.fromkeys(tables, ())):
            raise refused(source, lacks)


def estimated_rows(source: Source, tables: list[str]) -> dict[str, int]:
    """About how many rows each table has; -1 where PostgreSQL never counted."""
    if source.is_mariadb:
        return {}
    sql = """SELECT n.nspname || '.' || c.relname, CAST(c.reltuples AS bigint)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname || '.' || c.relname = ANY (:names)"""
    with connect(source) as c:
        return {name: int(rows) for name, rows in c.execute(sa.text(sql), {"names": tables})}


def captured_up_to(source: Source) -> int:
    """The position up to which all changes are in the log, as the slot says; 0 without a slot."""
    sql = "SELECT confirmed_flush_lsn - CAST('0/0' AS pg_lsn) FROM pg_replication_slots WHERE slot_name = :slot"
    with connect(source) as c:
        return int(_one(c, sql, slot=source.slot_name) or 0)


def refused(source: Source, lacks: list[Lack]) -> RefusedError:
    """All that is missing and the SQL that mends it, as one error."""
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
    if wrong := left_out(c, name, captured):
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


def left_out(c: sa.Connection, publication: str, captured: Captured) -> list[str]:
    """What of `captured` the publication leaves out."""
    rows = c.execute(sa.text("SELECT * FROM pg_publication_tables WHERE pubname = :name"), {"name": publication})
    published = {f"{r['schemaname']}.{r['tablename']}": r for r in rows.mappings()}
    wrong = [f"table {t} is missing" for t in captured if t not in published]
    for table in captured.keys() & published.keys():
        row = published[table]
        missing = set(captured[table]) - set(row.get("attnames") or captured[table])
        wrong += [f"{table} lacks {', '.join(sorted(missing))}"] if missing else []
        wrong += [f"{table} has a row filter"] if row.get("rowfilter") else []
    return wrong


# attnames is PostgreSQL 15's; a generated column is never sent
_PUBLISHED_OF_ALL = """
  SELECT p.schemaname || '.' || p.tablename, to_jsonb(p) -> 'attnames',
         array_agg(CAST(a.attname AS text) ORDER BY a.attnum)
  FROM pg_publication_tables p
  JOIN pg_namespace n ON n.nspname = p.schemaname
  JOIN pg_class t ON t.relnamespace = n.oid AND t.relname = p.tablename
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  WHERE p.pubname = :name AND p.schemaname || '.' || p.tablename = ANY (:tables) GROUP BY 1, 2
"""


def _gaps(c: sa.Connection, source: Source, tables: Captured) -> list[Lack]:
    """Published columns of which one before the last is left out.

    While Debezium reads rows again, it takes the stream's values for those of the table's first columns, in order:
    a column left out would shift all that stand behind it.
    """
    name, lacks = source.publication, []
    for table, published, every in c.execute(sa.text(_PUBLISHED_OF_ALL), {"name": name, "tables": list(tables)}):
        wanted = {*(published or every), *tables[table]}
        first = every[: max(every.index(column) for column in wanted if column in every) + 1]
        if missing := [column for column in first if column not in (published or every)]:
            what = f"publication {name}: rows of {table} cannot be read again while it lacks {', '.join(missing)}"
            add = f"ALTER PUBLICATION {name} ADD TABLE {_quoted(table)} ({_columns(tuple(first))})"
            lacks.append(Lack(what, f"BEGIN; ALTER PUBLICATION {name} DROP TABLE {_quoted(table)}; {add}; COMMIT;"))
    return lacks


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
    if source.is_mariadb:
        return []
    with connect(source) as c:
        return _open_transactions(c)
