"""Debezium's JSON on our log -> changes. The only module that knows the envelope.

Keys end with the table's name (`ByLogicalTableRouter`), so one look-up on the tail of the key finds what reads the
value: rows in one typed pass, straight into the engine's row.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from pipeline.domain.change import (
    Begin,
    Change,
    Control,
    End,
    Mark,
    Nothing,
    Position,
    Rejection,
    RowChange,
    SnapshotRow,
    Truncated,
)

Read = Callable[[bytes, bytes | None], Change]
TABLE_FIELD = b'"__dbz__physicalTableIdentifier"'


class TableLike(Protocol):
    """What the engine says of a remembered table."""

    name: str
    row_type: type[msgspec.Struct]
    key_type: type[msgspec.Struct]

    def pk(self, row: Any) -> Any:
        """The primary key of a row or key."""


class _Source(msgspec.Struct, gc=False):
    ts_ms: int = 0
    snapshot: str | bool | None = None
    table: str = ""
    schema: str = ""
    lsn: int | None = None


class _Stamp(msgspec.Struct, gc=False):
    source: _Source
    ts_ms: int = 0


class _Other(msgspec.Struct, gc=False):
    """Everything that is not a row: transaction markers, heartbeats, logical messages, truncates, our own records."""

    status: str = ""
    id: str = ""
    event_count: int | None = None
    ts_ms: int = 0
    op: str = ""
    source: _Source | None = None
    control: str = ""


class LogReader:
    """Reads one source's log. `tables`: name as the connector has it (`schema.table`) -> the engine's table."""

    def __init__(self, topic_prefix: str, tables: Mapping[str, TableLike]) -> None:
        self._tables = dict(tables)
        self._rows = {
            f'"{topic_prefix}.{name}"}}}}'.encode(): _row_reader(table) for name, table in self._tables.items()
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
            return rows(key, value) if rows is not None else self._read_other(value)
        except (msgspec.DecodeError, ValueError, RecursionError) as e:
            return Rejection(reason_of(e), self._table_of(key))

    def _table_of(self, key: bytes) -> str:
        head, _, tail = key.rpartition(b":")
        # a key that does not end with the table's name ends with a value
        return tail.strip(b'"}').decode(errors="replace") if head.endswith(TABLE_FIELD) else ""

    def _read_other(self, value: bytes | None) -> Change:
        if value is None:
            return Nothing()
        o = self._other(value)
        if o.status == "END":
            lsn = o.id.rpartition(":")[2]
            if not lsn.isdecimal():
                raise ValueError("END without a position")
            return End(Position(int(lsn)), o.ts_ms, o.event_count or 0)
        if o.status == "BEGIN":
            return Begin()
        if o.control:
            return Control(o.control, self._control(value))
        return self._read_operation(o) if o.op else Nothing()

    def _read_operation(self, o: _Other) -> Change:
        source = o.source or _Source()
        if o.op == "m":
            return Mark(source.ts_ms)
        table = self._tables.get(f"{source.schema}.{source.table}")
        if o.op == "t":
            return Truncated(table) if table is not None else Nothing()
        return Rejection(f"op {o.op!r} under a key that is no captured table's", source.table)


def _row_reader(table: TableLike) -> Read:
    """A reader of one table's records: (key, value) -> change, value None being the tombstone."""
    envelope = msgspec.defstruct(
        "Envelope",
        [("op", str), ("after", table.row_type | None, None)],
        gc=False,
    )
    key_of = msgspec.json.Decoder(msgspec.defstruct("Key", [("row", table.key_type)], gc=False)).decode
    decode, stamp, pk_of = msgspec.json.Decoder(envelope).decode, msgspec.json.Decoder(_Stamp).decode, table.pk

    def read(key: bytes, value: bytes | None) -> Change:
        if value is None:
            return RowChange(table, pk_of(key_of(key).row), None)  # type: ignore[attr-defined]  # made above
        event: Any = decode(value)
        row = event.after
        if row is None:
            if event.op != "d":
                raise ValueError(f"op {event.op!r} without a row")
            return RowChange(table, pk_of(key_of(key).row), None)  # type: ignore[attr-defined]  # made above
        if event.op != "r":
            return RowChange(table, None, row)
        stamped = stamp(value)
        source = stamped.source
        position = Position(source.lsn) if source.lsn is not None else None
        return SnapshotRow(table, pk_of(row), row, str(source.snapshot or ""), position, source.ts_ms, stamped.ts_ms)

    return read


def reason_of(e: Exception) -> str:
    """Why a value was refused, without the value: msgspec says types and the place, our own errors the rule."""
    return (
        str(e)
        if isinstance(e, msgspec.ValidationError)
        else type(e).__name__
        if isinstance(e, msgspec.DecodeError | RecursionError)
        else str(e)
    )
