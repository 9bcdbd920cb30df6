"""When a reader may see what was folded: at the end of a source transaction that was never published before.

A killed Kafka Connect leaves transactions cut off, resumed without a new BEGIN, and older ones again at higher
offsets: while they are folded, rows are of different times. They agree again at the first END whose position is above
every END seen so far, in the log and by readers (`served`). Rows outside transactions (snapshots) become visible at
the snapshot's end. A row that is read again beside the stream may be newer than the stream's place: rows are of one cut
when the stream has come as far.
"""

from collections.abc import Callable
from typing import Any

from pipeline.domain.change import End, Position, SnapshotRow

ZERO = Position(0)


class Visibility:
    """Where the fold stands between two consistent cuts of one source."""

    def __init__(self, served: Position = ZERO, marks: Callable[[Any], Any] = lambda _table: set()) -> None:
        self._marks = marks  # makes an empty set for a table's pks: there may be too many for memory
        self.served = served
        """The highest END or snapshot seen, by us or (at a restart) by readers."""
        self._snapshot: dict[Any, Any] | None = None
        self._snapshot_at: Position | None = None
        self._ahead_ms = 0
        self._is_first, self._is_again, self._hidden_until_ms = True, False, -1

    @property
    def in_snapshot(self) -> bool:
        """A snapshot was begun and has not ended."""
        return self._snapshot is not None

    def begin(self, at: Position) -> None:
        """An epoch begins with the source `at` a position, perhaps below those before: what ends up to it is old."""
        self.served, self._snapshot, self._snapshot_at = at, None, None
        self._is_first, self._ahead_ms, self._hidden_until_ms = True, 0, -1

    def end(self, end: End) -> bool:
        """Take a transaction's end; True when readers may see it."""
        # not at `served` itself: what was cut off after it may have left rows of a later transaction
        if end.position <= self.served or end.time_ms <= self._hidden_until_ms:
            return False
        self.served, self._is_first = end.position, False
        return end.time_ms >= self._ahead_ms

    def reread(self, time_ms: int) -> None:
        """A row was found changed by a reading at that time, by the connector's clock."""
        self._ahead_ms = max(self._ahead_ms, time_ms)

    def snapshot_row(self, row: SnapshotRow) -> bool:
        """A row was read by a snapshot; True when it begins one: `first` or another position, also after one cut off.

        `first` alone does not do: it is missing when the first table is empty or its first row cannot be read.
        """
        if row.stage == "incremental":
            return False
        begins = self._snapshot is None or row.stage == "first" or row.position != self._snapshot_at
        if begins:
            known = max(self.served, self._snapshot_at or ZERO)
            # the slot may stand beyond the last END: the connector confirms what it heard of while nothing was written
            self._is_again = row.position is not None and (row.position <= known or not self._is_first)
            self._snapshot, self._snapshot_at = {}, row.position
        self.keep(row.table, row.pk)
        return begins

    def keep(self, table: Any, pk: Any) -> None:
        """A row that may be of the running snapshot could not be read: it is there all the same."""
        assert self._snapshot is not None  # noqa: S101  # the caller asked
        if table not in self._snapshot:
            self._snapshot[table] = self._marks(table)
        self._snapshot[table].add(pk)

    def snapshot_end(self, position: Position | None, read_ms: int = 0) -> dict[Any, Any]:
        """The snapshot is complete: the pks it read by table. Whatever else is remembered of them is a ghost.

        A snapshot beside a slot that was there before carries the slot's position: the transactions since then are in
        it, and come once more. Until one comes that was committed after `read_ms`, rows are of different times.
        """
        seen, self._snapshot, self._is_first = self._snapshot or {}, None, False
        if self._is_again:
            self._hidden_until_ms = read_ms
        position = position or self._snapshot_at
        if position is not None and position > self.served:
            self.served = position
        return seen
