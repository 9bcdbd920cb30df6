"""What compaction may have taken before any worker saw it.

What ended rows without a delete of their own (a TRUNCATE, a further snapshot) may be among it, and nobody noted it
beside the log: the rows would be counted as if they were still there, and nothing in the log says so.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

from pipeline.domain.errors import RefusedError
from streams.fold import Record
from streams.ledger import Ledger
from streams.ports import Identity

HISTORY_MS = 7 * 86_400_000 // 2
"""Half the log's complete window: whoever is further behind may have missed rows that compaction removed since."""


class Fetched(Record, Protocol):
    """A record with the time at which it was written, in milliseconds."""

    timestamp: int


class Holes:
    """Where records of a log are missing that are old enough for compaction, over one replay.

    Younger ones are no records: a connector that writes transactions of Kafka's leaves a mark at the end of each.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._before: Fetched | None = None
        self._last = -1

    def look(self, records: Sequence[Fetched]) -> None:
        """Take records as they follow those before."""
        before, self._before = self._before or records[0], records[-1]
        is_whole = records[-1].offset - records[0].offset < len(records)
        if is_whole and records[0].offset <= before.offset + 1:
            return
        old = self._now() * 1000 - HISTORY_MS
        pairs = pairwise((before, *records))
        missing = (b.offset - 1 for a, b in pairs if b.offset > a.offset + 1 and a.timestamp < old)
        self._last = max([self._last, *missing])

    def check(self, me: Identity, ledger: Ledger) -> None:
        """Raise RefusedError where something is missing that came after all that is known to have been seen."""
        if self._last > max(me.begun, ledger.seen):
            raise RefusedError(
                "compaction took records that no worker had seen: rows may be left in the log that are gone",
                f"onhand apply --snapshot {me.name}, then start the worker again",
            )
