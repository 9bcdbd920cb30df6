"""Rows whose newest record cannot be read or mapped: what they said before counts on, their keys are degraded.

Which keys those are is computed from the rows and these records alone, so every replay marks the same ones.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from pipeline.adapters.debezium import LogReader
from pipeline.adapters.quarantine import NOTHING, Entry, Noted, Raw
from pipeline.domain import change as c
from pipeline.domain.levels import Group, Key
from pipeline.query import Engine
from streams.remedies import remedy

MOST = 500
"""Rows looked at to find the degraded keys; where there are more, the whole source is degraded instead."""
log = structlog.get_logger("onhand.worker")


@dataclass(slots=True)
class Held:
    """A row in quarantine. `row`: as far as it can be read; None where that leaves open which keys it concerns."""

    offset: int
    reason: str
    table: Any
    pk: Any
    row: tuple[Any, ...] | None
    dropped: bool = False


class Quarantine:
    """One source's rows in quarantine; `noted` by workers before this one, `epoch` of its log.

    `rows` are by log key, in the log's order. `marks` are the degraded result rows: the id of the row in quarantine and
    why it is there. `untold` are records for their topic, `ended` the keys whose rows are
    right again, by the offset at which they became so. `whole`: it is not known which keys are concerned.
    """

    def __init__(self, engine: Engine, reader: LogReader, noted: Mapping[bytes, Noted | None], epoch: int) -> None:
        self.rows: dict[bytes, Held] = {}
        self.marks: dict[Key, str] = {}
        self.untold: list[tuple[bytes, bytes | None]] = []
        self.ended: dict[bytes, int] = {}
        self.whole, self.stale, self.open = False, False, 0
        self._engine, self._view, self._reader, self._epoch = engine, engine.views["stock"], reader, epoch
        self._noted = dict(noted)
        self._watched: set[str] = set()
        self._zeros = (0,) * len(self._view.amounts)

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
        self.rows[key] = held = Held(record.offset, sys.intern(reason), found.table, found.pk, self._row(found, before))
        self.open, self.stale = self.open + 1, True
        if noted is None or noted.offset < record.offset or (noted.offset == record.offset and noted.reason != reason):
            self._tell(key, record, held, found, before)
        return found

    def _row(self, found: c.Salvaged, before: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if found.pk is None or found.row is None:
            return None
        row, unread = found.table.salvage(found.row, before)
        return None if unread & self._engine.concern(found.table.name, "stock").deciding else row

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
            self.stale = table in self._watched

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

    def settle(self, groups: list[Group]) -> list[Group]:
        """Find the degraded keys; those that no row counts in become groups of nothing, so that they are served."""
        before = self.marks
        if self.stale:
            self._mark()
        groups = [(k, 1, self._zeros) if not count and k in self.marks else (k, count, n) for k, count, n in groups]
        groups += [(key, 1, self._zeros) for key in self.marks if key not in self._view]
        groups += [(k, 0, self._zeros) for k in before if k not in self.marks and k not in self._view]
        return groups

    def _mark(self) -> None:
        self.stale, self.marks, self._watched = False, {}, set()
        self.whole = self.open > MOST
        if not self.whole:
            self._look(held for held in self.rows.values() if not held.dropped)

    def _look(self, rows: Iterable[Held]) -> None:
        left = MOST
        for held in rows:
            if held.row is None:
                self.whole = True
            if held.pk is None:
                continue
            concern = self._engine.concern(held.table.name, "stock")
            self._watched |= concern.watched
            keys, looked = concern.groups(held.pk, held.table.remembered(held.pk), held.row, left)
            left -= looked
            if left < 0:
                self.whole, self.marks = True, {}
                return
            for key in sorted(keys, key=repr):
                self.marks.setdefault(key, f"{held.offset}: {held.reason}")


def _restore(found: c.Salvaged, noted: Noted) -> None:
    """Compaction left only the bad record: the row is as it was noted with it."""
    if noted.before == bytes(NOTHING) or found.table.remembered(found.pk) is not None:
        return
    try:
        row = msgspec.json.decode(noted.before, type=found.table.row_type)
        found.table.upsert(row)
    except ValueError:  # the mapping reads it otherwise by now
        log.warning("what a row said before cannot be read any more", table=found.table.name, offset=noted.offset)
