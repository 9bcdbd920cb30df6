"""Debezium's JSON on our log -> changes. The only module that knows the envelope.

Keys end with the table's name (`ByLogicalTableRouter`), so one look-up on the tail of the key finds what reads the
value: rows in one typed pass, straight into the engine's row.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import Annotated, Any, Literal, Protocol

import msgspec

from pipeline.domain.change import (
    Begin,
    Change,
    Control,
    End,
    Heartbeat,
    Mark,
    Nothing,
    Position,
    Rejection,
    RowChange,
    Salvaged,
    SnapshotRow,
    Truncated,
)

Read = Callable[[bytes, bytes | None], Change]
_ROW_OPS = ("c", "u", "d", "r")
_MISSING = re.compile(r"Object missing required field `(.+)` - at `\$\.after`")
TABLE_FIELD = b'"__dbz__physicalTableIdentifier"'


class TableLike(Protocol):
    """What the engine says of a remembered table."""

    name: str
    row_type: type[msgspec.Struct]
    key_type: type[msgspec.Struct]

    def pk(self, row: Any) -> Any:
        """The primary key of a row or key."""


Time = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # up to the year 9999: others cannot be written


class _Source(msgspec.Struct, gc=False):
    ts_ms: Time = 0
    snapshot: str | bool | None = None
    table: str = ""
    schema: str = ""
    db: str = ""
    lsn: int | None = None
    gtid: str | None = None
    file: str = ""
    pos: int = 0

    @property
    def position(self) -> Position | None:
        """Where in the source: PostgreSQL's LSN, MariaDB's GTID, or where in its binlog a snapshot was taken."""
        if self.lsn is not None:
            return Position(self.lsn)
        if self.gtid:
            return Position.parse(self.gtid)
        return Position(0, f"{self.file}:{self.pos}") if self.file else None


class _Stamp(msgspec.Struct, gc=False):
    source: _Source
    ts_ms: int = 0


class _Other(msgspec.Struct, gc=False):
    """Everything that is not a row: transaction markers, heartbeats, logical messages, truncates, our own records."""

    status: str = ""
    id: str = ""
    event_count: int | None = None
    ts_ms: Time = 0
    op: str = ""
    source: _Source | None = None
    control: str = ""


class _Epoch(msgspec.Struct):
    epoch: int


class _Day(msgspec.Struct):
    date: date


class _Mapping(msgspec.Struct):
    applied_at: int


class _Drop(msgspec.Struct):
    offset: int


_KINDS: dict[str, type[msgspec.Struct]] = {"epoch": _Epoch, "day": _Day, "mapping": _Mapping, "drop": _Drop}
_CONTROLS = {name: msgspec.json.Decoder(kind).decode for name, kind in _KINDS.items()}


class LogReader:
    """Reads one source's log. `tables`: name as the connector has it (`schema.table`) -> the engine's table.

    `has_marks`: the source is asked for a mark in its change log every second; else its heartbeats are told.
    """

    def __init__(self, topic_prefix: str, tables: Mapping[str, TableLike], *, has_marks: bool = True) -> None:
        self._heartbeat = None if has_marks else f'{{"row":{{"serverName":"{topic_prefix}"}}}}'.encode()
        self._tables, self._prefix = dict(tables), f"{topic_prefix}."
        self._rows = {
            f'"{topic_prefix}.{name}"}}}}'.encode(): _row_reader(table) for name, table in self._tables.items()
        }
        self._keys = {
            f'"{topic_prefix}.{name}"}}}}'.encode(): (table, _key_reader(table)) for name, table in self._tables.items()
        }
        self._stamp = msgspec.json.Decoder(_Stamp).decode
        self._other = msgspec.json.Decoder(_Other).decode
        self._control = msgspec.json.Decoder(dict[str, Any]).decode

    def read(self, key: bytes | None, value: bytes | None) -> Change:
        """One record of the log as a change. Never raises on bad data: that is a Rejection."""
        if key is None:
            return Rejection("a record without a key")
        rows = self._rows.get(key[key.rfind(b":") + 1 :])
        try:
            if rows is not None:
                return rows(key, value)
            return self._read_other(value, is_heartbeat=key == self._heartbeat)
        except (msgspec.DecodeError, ValueError, RecursionError) as e:
            return Rejection(reason_of(e), self._table_of(key))

    def salvage(self, key: bytes | None, value: bytes | None) -> Salvaged:
        """What can still be told of a record that was rejected. Never raises."""
        found = Salvaged()
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
            found.table, pk_of = self._keys.get((key or b"")[(key or b"").rfind(b":") + 1 :], (None, None))
            if pk_of is not None:
                found.pk = pk_of(key or b"")
        with suppress(msgspec.DecodeError, ValueError, RecursionError):
            _salvage_value(found, self._control(value or b""))
        return found

    def _table_of(self, key: bytes) -> str:
        head, _, tail = key.rpartition(b":")
        # a key that does not end with the table's name ends with a value
        name = tail.strip(b'"}').decode(errors="replace") if head.endswith(TABLE_FIELD) else ""
        return name.removeprefix(self._prefix)

    def _read_other(self, value: bytes | None, *, is_heartbeat: bool) -> Change:
        if value is None:
            return Nothing()
        o = self._other(value)
        if o.status == "END":
            return End(_commit(o.id), o.ts_ms, o.event_count or 0)
        if o.status == "BEGIN":
            return Begin()
        if o.control:
            if o.control in _CONTROLS:
                _CONTROLS[o.control](value)  # whoever else wrote it: what is not ours must not end the worker
            return Control(o.control, self._control(value))
        if o.op:
            return self._read_operation(o)
        return Heartbeat(o.ts_ms) if is_heartbeat else Nothing()

    def _read_operation(self, o: _Other) -> Change:
        source = o.source or _Source()
        if o.op == "m":
            return Mark(source.ts_ms)
        table = self._tables.get(f"{source.schema or source.db}.{source.table}")
        if o.op == "t" and table is not None:
            return Truncated(table, source.position, source.ts_ms) if source.gtid else Truncated(table)
        if o.op == "t":
            return Nothing()
        if table is None and source.table and o.op in _ROW_OPS:
            return Nothing()  # captured for another mapping: the one before, or the one that is being prepared
        return Rejection(f"op {o.op!r} under a key that is no captured table's", source.table)


def _row_reader(table: TableLike) -> Read:
    """A reader of one table's records: (key, value) -> change, value None being the tombstone."""
    envelope = msgspec.defstruct(
        "Envelope",
        [("op", Literal["c", "u", "r", "d"]), ("after", table.row_type | None, None)],
        gc=False,
    )
    pk_in = _key_reader(table)
    decode, stamp, pk_of = msgspec.json.Decoder(envelope).decode, msgspec.json.Decoder(_Stamp).decode, table.pk

    def read(key: bytes, value: bytes | None) -> Change:
        if value is None:
            return RowChange(table, pk_in(key), None)
        event: Any = decode(value)
        row = event.after
        if row is None:
            if event.op != "d":
                raise ValueError(f"op {event.op!r} without a row")
            return RowChange(table, pk_in(key), None)
        if event.op != "r":
            return RowChange(table, None, row)
        stamped = stamp(value)
        source, stage = stamped.source, str(stamped.source.snapshot or "")
        return SnapshotRow(table, pk_of(row), row, stage, source.position, source.ts_ms, stamped.ts_ms)

    return read


def _key_reader(table: TableLike) -> Callable[[bytes], Any]:
    """A record's key -> the row's pk."""
    decode = msgspec.json.Decoder(msgspec.defstruct("Key", [("row", table.key_type)], gc=False)).decode
    return lambda key: table.pk(decode(key).row)  # type: ignore[attr-defined]  # made above


def _salvage_value(found: Salvaged, event: dict[str, Any]) -> None:
    source, after = event.get("source"), event.get("after")
    if isinstance(after, dict):
        found.row = after
    if not isinstance(source, dict):
        return
    with suppress(msgspec.ValidationError):
        said = msgspec.convert(source, _Source)
        found.position, found.time_ms = said.position, said.ts_ms
    found.stage = str(source.get("snapshot") or "true") if event.get("op") == "r" else ""


def _commit(transaction: str) -> Position:
    """The commit's position: PostgreSQL names a transaction `txid:lsn`, MariaDB by its GTID."""
    lsn = transaction.rpartition(":")[2]
    if lsn.isdecimal():
        return Position(int(lsn))
    if transaction.count("-") != 2:
        raise ValueError("END without a position")
    return Position.parse(transaction)


def reason_of(e: Exception) -> str:
    """Why a value was refused, without the value: msgspec says types and the place, our own errors the rule."""
    if isinstance(e, msgspec.ValidationError) and str(e).endswith("`$.op`"):
        return "an op that is not known"
    if missing := _MISSING.match(str(e)):
        column = missing[1]
        return f"the row has no column {column} (dropped or renamed in the ERP?): onhand plan says what to do"
    return (
        str(e)
        if isinstance(e, msgspec.ValidationError)
        else type(e).__name__
        if isinstance(e, msgspec.DecodeError | RecursionError)
        else str(e)
    )
