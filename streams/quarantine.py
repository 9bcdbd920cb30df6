"""Rows whose newest record cannot be read or mapped: what they said before counts on, their keys are degraded.

Which keys those are is computed from the rows and these records alone, so every replay marks the same ones.
"""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from pipeline.adapters.debezium import LogReader
from pipeline.adapters.quarantine import NOTHING, Entry, Noted, Raw
from pipeline.domain import change as c
from pipeline.domain.levels import Key
from pipeline.query import Engine
from streams.marks import MOST, Held, Marks
from streams.remedies import remedy

log = structlog.get_logger("onhand.worker")


class Quarantine:
    """One source's rows in quarantine; `noted` by workers before this one, `epoch` of its log.

    `rows` are by log key, in the log's order. `stock` and `orders` say which result rows are degraded: by the id of the
    row in quarantine and why it is there; `is_felt`: some are. `untold` are records for their topic, `ended` the keys
    whose rows are right again, by the offset at which they became so.
    """

    def __init__(self, engine: Engine, reader: LogReader, noted: Mapping[bytes, Noted | None], epoch: int) -> None:
        self.rows: dict[bytes, Held] = {}
        self.stock = Marks(engine, "stock")
        self.orders = Marks(engine, "orders") if "orders" in engine.views else None
        self.untold: list[tuple[bytes, bytes | None]] = []
        self.ended: dict[bytes, int] = {}
        self.stale, self.is_felt, self.open = False, False, 0
        self._all = [self.stock] if self.orders is None else [self.stock, self.orders]
        self._reader, self._epoch = reader, epoch
        self._noted = dict(noted)

    @property
    def marks(self) -> dict[Key, str]:
        """The degraded rows of the stock query, and why."""
        return self.stock.reasons

    @property
    def whole(self) -> bool:
        """It is not known which of them are."""
        return self.stock.whole

    def __len__(self) -> int:
        return self.open

    # -- rows come and go

    def put(self, record: Any, reason: str) -> c.Salvaged:
        """A record was rejected: remember why, and what it would have said."""
        key, found = record.key or b"", self._reader.salvage(record.key, record.value)
        self._forget(key)
        self.ended.pop(key, None)
        noted = self._noted.get(key)
        if noted is None or noted.offset <= record.offset:
            self._noted.pop(key, None)
        before = None
        if found.pk is not None:
            if noted is not None and noted.offset >= record.offset:
                _restore(found, noted)
            before = found.table.remembered(found.pk)
        row, unread = self._row(found, before)
        self.rows[key] = held = Held(record.offset, sys.intern(reason), found.table, found.pk, row, unread)
        self.open, self.stale = self.open + 1, True
        if noted is None or noted.offset < record.offset or (noted.offset == record.offset and noted.reason != reason):
            self._tell(key, record, held, found, before)
        return found

    @staticmethod
    def _row(found: c.Salvaged, before: tuple[Any, ...] | None) -> tuple[tuple[Any, ...] | None, frozenset[str]]:
        if found.pk is None or found.row is None:
            return None, frozenset()
        row, unread = found.table.salvage(found.row, before)
        return row, frozenset(unread)

    def _tell(self, key: bytes, record: Any, held: Held, found: c.Salvaged, before: tuple[Any, ...] | None) -> None:
        name = held.table.name if held.table is not None else ""
        entry = Entry(
            self._epoch, held.offset, name, held.reason, remedy(held.reason, name), str(found.position or ""),
            found.time_ms, Raw.of(record.key), Raw.of(record.value),
            NOTHING if before is None else msgspec.Raw(msgspec.json.encode(found.table.as_sent(before))),
        )  # fmt: skip
        self.untold.append((key, entry.to_json()))
        if self.open <= MOST:
            log.error("row quarantined", table=name, offset=held.offset, reason=held.reason)
        elif not self.open % 10_000 or self.open == MOST + 1:
            log.error("rows quarantined, too many to name each", rows=self.open, table=name, reason=held.reason)

    def took(self, record: Any, table: str) -> None:
        """A row was read: its own entry ends, and those it has to do with may concern other keys."""
        if record.key in self.rows:
            self._end(record.key, record.offset)
        elif not self.stale:
            self.stale = any(table in marks.watched for marks in self._all)

    def drop(self, offset: int) -> None:
        """Somebody decided that a row counts as it did before its record at `offset`."""
        for held in self.rows.values():
            if held.offset == offset and not held.dropped:
                held.dropped, self.stale = True, True
                self.open -= 1

    def sweep(self, table: str, below: int, offset: int) -> None:
        """Rows of a table last seen below an offset are gone, as is found at `offset`."""
        gone = [k for k, h in self.rows.items() if h.offset < below and h.table is not None and h.table.name == table]
        for key in gone:
            self._end(key, offset)
        self.stale = True

    def clear(self, offset: int) -> None:
        """All rows are read anew from `offset` on."""
        for key in list(self.rows):
            self._end(key, offset)

    def end_replay(self) -> None:
        """What was noted and did not come up again is right by now."""
        self.ended |= dict.fromkeys(self._noted.keys() - self.rows.keys(), -1)
        self._noted.clear()

    def tables(self) -> set[str]:
        """Those that rows in quarantine are of."""
        return {held.table.name for held in self.rows.values() if held.table is not None}

    def _end(self, key: bytes, offset: int) -> None:
        self._forget(key)
        self.ended[key] = offset

    def _forget(self, key: bytes) -> None:
        held = self.rows.pop(key, None)
        if held is not None:
            self.open, self.stale = self.open - (not held.dropped), True

    # -- for their topic

    def told(self) -> list[tuple[bytes, bytes | None]]:
        """The records of rows that were put aside; they are to be written before anything after is committed."""
        untold, self.untold = self.untold, []
        return untold

    def endings(self, offset: int) -> list[tuple[bytes, bytes | None]]:
        """Tombstones of rows that are right as readers see them at `offset`: before, a replay needs their records."""
        ended = [key for key, at in self.ended.items() if at <= offset]
        for key in ended:
            del self.ended[key]
        return [(key, None) for key in ended]

    # -- which keys are degraded

    def look(self) -> None:
        """Find the degraded rows anew where what is in quarantine changed, or what tells them."""
        if self.stale:
            self.stale = False
            for marks in self._all:
                marks.look((held for held in self.rows.values() if not held.dropped), whole=self.open > MOST)
            self.is_felt = any(marks.reasons or marks.whole for marks in self._all)


def _restore(found: c.Salvaged, noted: Noted) -> None:
    """Compaction left only the bad record: the row is as it was noted with it."""
    if noted.before == bytes(NOTHING) or found.table.remembered(found.pk) is not None:
        return
    try:
        row = msgspec.json.decode(noted.before, type=found.table.row_type)
        found.table.upsert(row)
    except ValueError:  # the mapping reads it otherwise by now
        log.warning("what a row said before cannot be read any more", table=found.table.name, offset=noted.offset)
