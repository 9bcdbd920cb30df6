"""Rows in quarantine, in their compacted topic: keyed by the log record's key, ended by a tombstone.

A record stays there as long as its row is not right, because compaction leaves no earlier one in the log. A row that
somebody dropped leaves a trace under a key of its own, for ever.
"""

import base64
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pipeline.adapters import kafka
from pipeline.domain.errors import NotReadyError
from pipeline.settings import Kafka

LARGEST = 64 * 1024
"""Bytes kept of a raw key or value."""
NOTHING = msgspec.Raw(b"null")
_TRACE = b"dropped/"


class Raw(msgspec.Struct, frozen=True):
    """A record's key or value: `text`, or `base64` where it is no UTF-8; cut off where its `size` in bytes is more."""

    size: int
    text: str | None = None
    base64: str | None = None

    @staticmethod
    def of(data: bytes | None) -> "Raw | None":
        """At most LARGEST bytes of it."""
        if data is None:
            return None
        try:
            return Raw(len(data), text=data[:LARGEST].decode("utf-8", "strict" if len(data) <= LARGEST else "ignore"))
        except UnicodeDecodeError:
            return Raw(len(data), base64=base64.b64encode(data[:LARGEST]).decode())

    @property
    def whole(self) -> bool:
        """Nothing was cut off."""
        return self.size <= LARGEST


class Dropped(msgspec.Struct, frozen=True):
    """Who dropped a row, when (Unix milliseconds) and why."""

    who: str
    time_ms: int
    why: str


class Entry(msgspec.Struct, frozen=True):
    """A row in quarantine. `offset`: of its record in the log begun at `epoch`, and its id for people.

    `position` and `time_ms` are of the change in the ERP, "" and 0 where the record does not say. `before`: the row as
    it was remembered until then and counts on, in the connector's form; null where none was.
    """

    epoch: int
    offset: int
    table: str
    reason: str
    remedy: str
    position: str
    time_ms: int
    key: Raw | None
    value: Raw | None
    before: msgspec.Raw = NOTHING
    dropped: Dropped | None = None

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)


class Noted(NamedTuple):
    """What a worker that starts must know of an entry."""

    offset: int
    reason: str
    before: bytes


def entries(broker: Kafka, topic: str, epoch: int) -> list[Entry]:
    """All of them in the log's order, those that were dropped too: of a row dropped, its trace."""
    held: dict[bytes, Entry | None] = {}

    def take(record: Any) -> None:
        entry = msgspec.json.decode(record.value, type=Entry) if record.value else None
        held[record.key] = entry if entry is not None and entry.epoch == epoch else None

    kafka.replay(broker, topic, take)
    rows = {e.offset: e for key, e in held.items() if e is not None and not key.startswith(_TRACE)}
    rows |= {e.offset: e for key, e in held.items() if e is not None and key.startswith(_TRACE)}
    return [rows[offset] for offset in sorted(rows)]


def noted(broker: Kafka, topic: str, epoch: int) -> dict[bytes, Noted | None]:
    """By the log record's key; None where a log begun before noted it. NotReadyError where there is no such topic."""
    if kafka.settings_of(broker, topic) is None:
        raise NotReadyError(f"there is no topic {topic}", "onhand apply")
    found: dict[bytes, Noted | None] = {}

    def take(record: Any) -> None:
        if record.value is None:
            found.pop(record.key, None)
        elif not record.key.startswith(_TRACE):
            e = msgspec.json.decode(record.value, type=Entry)
            found[record.key] = Noted(e.offset, sys.intern(e.reason), bytes(e.before)) if e.epoch == epoch else None

    kafka.replay(broker, topic, take)
    return found


def drop(broker: Kafka, topics: Mapping[str, str], entry: Entry, dropped: Dropped) -> None:
    """Leave the trace, then say it in the log, at whose place every replay drops the row."""
    trace = msgspec.structs.replace(entry, dropped=dropped)
    kafka.write(broker, topics["quarantine"], _TRACE + str(entry.offset).encode(), trace.to_json())
    key = b'{"row":{"control":"drop/%d"}}' % entry.offset
    value: dict[str, Any] = {"control": "drop", "offset": entry.offset, **msgspec.to_builtins(dropped)}
    kafka.write(broker, topics["log"], key, msgspec.json.encode(value))


def dropped_now(who: str, why: str) -> Dropped:
    """A drop by somebody, of this moment."""
    return Dropped(who, time.time_ns() // 1_000_000, why)
