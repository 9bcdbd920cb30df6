"""When a reader may see what was folded: at the end of a source transaction that was never published before.

A killed Kafka Connect leaves transactions cut off, resumed without a new BEGIN, and older ones again at higher
offsets: while they are folded, rows are of different times. They agree again at the first END whose position is above
every END seen so far, in the log and by readers (`served`). Rows outside transactions (snapshots) become visible at
the snapshot's end.
"""

from collections.abc import Hashable
from typing import Any

from pipeline.domain.change import End, Position, SnapshotRow

ZERO = Position(0)


class Visibility:
    """Where the fold stands between two consistent cuts of one source."""

    def __init__(self, served: Position = ZERO) -> None:
        self.served = served
        """The highest END or snapshot seen, by us or (at a restart) by readers."""
        self.settled = True
        """Every remembered row is of one cut: nothing was folded since the last one."""
        self._snapshot: dict[Any, set[Hashable]] | None = None

    @property
    def in_snapshot(self) -> bool:
        """A snapshot was begun and has not ended."""
        return self._snapshot is not None

    def end(self, end: End) -> bool:
        """Take a transaction's end; True when readers may see it."""
        # the END at `served` itself is one cut too: a restart meets it again and rows agree there
        self.settled = end.position >= self.served
        if self.settled:
            self.served = end.position
        return self.settled

    def snapshot_row(self, row: SnapshotRow) -> None:
        """A row was read by a snapshot; `first` starts one anew, also after an attempt that was cut off."""
        if row.stage == "first":
            self._snapshot = {}
        if self._snapshot is not None and row.stage != "incremental":
            self._snapshot.setdefault(row.table, set()).add(row.pk)

    def snapshot_end(self, position: Position | None) -> dict[Any, set[Hashable]]:
        """The snapshot is complete: the rows it read by table. Whatever else is remembered of them is a ghost."""
        seen, self._snapshot = self._snapshot or {}, None
        if position is not None and position > self.served:
            self.served = position
        self.settled = True
        return seen
