"""Asking Debezium to read rows again beside the stream (its incremental snapshot), and what it tells of that.

The rows come into the log as op `r`, outside transactions and without a position. Debezium leaves out a row that
changed while it was read, so an older reading never follows a newer change. The wish is not sent as a signal but put
into the connector's offset, as if it had been read and the task stopped: a signal is taken by a thread of its own,
which reads a first chunk while the stream's thread reads it too, and is lost when Kafka Connect is killed.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.adapters import erp_preflight, kafka
from pipeline.adapters.connect import Connect
from pipeline.domain.errors import NotReadyError
from pipeline.settings import Kafka, Source

_WANTED = "incremental_snapshot_collections"
_PATIENCE_S, _LOOK_S = 60, 0.5


def read_again(broker: Kafka, source: Source, tables: Mapping[str, str | None], ident: str = "") -> None:
    """Have rows of `tables` (`schema.table` -> an SQL condition in the ERP's dialect, None = all) read into the log.

    Capture pauses for some seconds. A kill of Kafka Connect loses nothing; `Notices` of the same `ident` tell when it
    is done. RefusedError where the publication leaves out a column between others, NotReadyError while the first
    snapshot is being taken.
    """
    erp_preflight.check_readable(source, tables)
    connect, name = Connect(broker), source.connector
    _until_streaming(connect, source)
    connect.stop(name)
    try:
        connect.put_offset(name, source.topic_prefix, _wishing(connect.offset(name), tables, ident))
    finally:
        connect.resume(name)


def _until_streaming(connect: Connect, source: Source) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while "lsn" not in (offset := connect.offset(source.connector)) or "snapshot" in offset:
        if time.monotonic() > deadline:
            what = f"connector {source.connector} does not stream yet: its first snapshot has not ended"
            raise NotReadyError(what, f"onhand status {source.name} shows when it has; then try again")
        time.sleep(_LOOK_S)


def _wishing(offset: Mapping[str, Any], tables: Mapping[str, str | None], ident: str) -> dict[str, Any]:
    """The offset with the tables to be read, behind those that are being read already."""
    wishes = [
        {f"{_WANTED}_id": t, f"{_WANTED}_additional_condition": c, f"{_WANTED}_surrogate_key": None}
        for t, c in tables.items()
    ]
    before = msgspec.json.decode(offset.get(_WANTED) or b"[]")
    wanted = msgspec.json.encode([*before, *(w for w in wishes if w not in before)]).decode()
    return {**offset, _WANTED: wanted, "incremental_snapshot_correlation_id": ident}


def is_reading(broker: Kafka, source: Source) -> bool:
    """Whether rows are being read again, by the offset the connector stored last."""
    return _WANTED in Connect(broker).offset(source.connector)


class Notices:
    """What Debezium tells in the log, from `offset` on, of the rows asked for by the name `ident`."""

    def __init__(self, broker: Kafka, source: Source, ident: str, offset: int) -> None:
        self._broker, self._topic, self._offset = broker, source.log_topic, offset
        self._key = msgspec.json.encode({"row": {"id": ident}})
        self.tables: dict[str, str] = {}
        """How reading each table ended: SUCCEEDED, EMPTY, SKIPPED, SQL_EXCEPTION, .."""
        self.ended = ""
        """COMPLETED or ABORTED, once it has ended."""
        self.heard = 0
        """How many notices came."""
        self.heard_at = -math.inf
        """When the last one was heard, by the monotonic clock."""

    def look(self) -> None:
        """Read on up to the log's present end."""
        self._offset = kafka.follow(self._broker, self._topic, self._take, self._offset)

    def _take(self, record: Any) -> None:
        if record.key != self._key or not record.value:
            return
        notice = msgspec.json.decode(record.value)
        kind, more = notice["type"], notice["additional_data"]
        self.heard, self.heard_at = self.heard + 1, time.monotonic()
        if kind == "TABLE_SCAN_COMPLETED":
            self.tables[more["scanned_collection"]] = more["status"]
        elif kind in ("COMPLETED", "ABORTED"):
            self.ended = kind
