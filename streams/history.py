"""A log folded up to a moment of the past. No I/O."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.adapters.debezium import LogReader
from pipeline.domain import change as c
from pipeline.domain.times import iso
from streams.fold import Place, Record, StockFold


@dataclass(frozen=True)
class Moment:
    """Everything up to a commit time (milliseconds since the Unix epoch), or up to a position; both None: all."""

    time_ms: int | None = None
    position: c.Position | None = None

    def is_before(self, position: c.Position | None, time_ms: int) -> bool:
        """Whether what stands at a position and time is later than this."""
        if self.time_ms is not None:
            return time_ms > self.time_ms
        return self.position is not None and position is not None and position > self.position

    def is_after(self, position: c.Position, time_ms: int) -> bool:
        """Whether it is earlier."""
        if self.time_ms is not None:
            return time_ms < self.time_ms
        return self.position is not None and position < self.position

    def __str__(self) -> str:
        return iso(self.time_ms) if self.time_ms is not None else str(self.position or "now")


class Doubt(NamedTuple):
    """Why a log does not tell a past, and the time in milliseconds nearest to it that it does tell, where known."""

    why: str
    possible_ms: int | None = None


@dataclass
class Past:
    """Folds a log up to its last cut at or before `until`; records are folded when it is known that their END is.

    Commits come in the order of the ERP's change log. Should its clock have been put back, the past ends at the first
    commit later than `until`. `place`: the cut it ends with; `beyond`: what comes after it, None at the log's end;
    `is_early`: nothing is that old, and the fold is the oldest there is; `has_holes`: compaction took records of it.
    """

    fold: StockFold
    reader: LogReader
    until: Moment
    place: Place | None = None
    beyond: c.End | c.SnapshotRow | None = None
    is_early: bool = False
    has_holes: bool = False
    misses_sweeps: bool = False
    _open: list[Record] = field(default_factory=list)
    _next: int = 0
    _snapshot_ms: int = 0

    def take(self, record: Record) -> bool:
        """Take the log's next record; True when no more are wanted."""
        # also of what is not folded: what stood before `beyond` may have been of the time asked for
        self.has_holes = self.has_holes or record.offset != self._next
        self._next = record.offset + 1
        change = self.reader.read(record.key, record.value)
        may_end = isinstance(change, c.End) or (isinstance(change, c.SnapshotRow) and change.stage != "incremental")
        if may_end and self._lies_beyond(change):
            return True
        self._open.append(record)
        # a snapshot without its `last` row ends where streaming begins
        if may_end or (self.fold.visibility.in_snapshot and isinstance(change, c.Begin | c.RowChange | c.Truncated)):
            self._fold()
        return self.is_early and self.fold.place is not None

    def _lies_beyond(self, change: Any) -> bool:
        later = self.until.is_before(change.position, change.time_ms)
        if self.fold.place is None:
            self.is_early = self.is_early or later
        elif later:
            self.beyond = change
            return True
        if isinstance(change, c.SnapshotRow):
            self._snapshot_ms = change.time_ms
        return False

    def _fold(self) -> None:
        before = self.fold.place
        for record in self._open:
            self.fold.fold(record)
        self._open.clear()
        if self.fold.place is not None and self.fold.place is not before:
            # where no row said so, the fold does not know a snapshot's time
            self.place = self.fold.place._replace(time_ms=max(self.fold.place.time_ms, self._snapshot_ms))

    def finish(self) -> None:
        """End what only a compacted log still has. `misses_sweeps`: a later note may stand where that of then stood."""
        if self.fold.place is not None:
            self.misses_sweeps = self.fold.sweeps.forget_after(self.fold.place.offset)
        self.fold.end_replay()

    def doubt(self, complete_from_ms: int) -> Doubt | None:
        """Why the log does not tell, if so. `complete_from_ms`: what is older may be compacted, where `has_holes`."""
        place = self.place
        if place is None:
            return Doubt("it holds no complete snapshot yet")
        return self._gap(place) or (self._compacted(complete_from_ms) if self.has_holes else None)

    def _gap(self, place: Place) -> Doubt | None:
        here = f"{iso(place.time_ms)}, position {place.position}"
        if self.is_early:
            return Doubt(f"it begins with the snapshot of {here}", place.time_ms)
        if self.fold.holds_ghosts:
            return Doubt(f"a transaction that was cut off is open after {here}")
        if not self.until.is_after(place.position, place.time_ms):
            return None
        if self.beyond is None:
            return Doubt(f"it is complete up to {here}", place.time_ms)
        if isinstance(self.beyond, c.SnapshotRow) or self.fold.visibility.in_snapshot:
            return Doubt(f"a snapshot follows on {here}, and what was before that it does not hold", place.time_ms)
        return None

    def _compacted(self, complete_from_ms: int) -> Doubt | None:
        """A record is taken for the sake of a newer one of its key, when that one has the age: the end is whole."""
        if self.beyond is None:
            return None
        if self.beyond.time_ms < complete_from_ms:
            return Doubt(f"it is compacted, and complete from {iso(complete_from_ms)} on", complete_from_ms)
        if self.misses_sweeps:
            return Doubt("it is compacted, and may hold rows that a TRUNCATE or a snapshot had ended")
        return None
