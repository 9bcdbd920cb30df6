"""Rows that are gone without a delete of their own: what a TRUNCATE or a further snapshot left in the log.

A compacted log keeps such a row's last record for ever, and may lose the record that ended it: TRUNCATEs share one key,
and a snapshot's rows are replaced by later changes. So it is noted beside the log from which offset on a table's rows
count; a replay ends what it did not see from there on.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Protocol


class Marks(Container[Any], Protocol):
    """A set of pks that only grows."""

    def add(self, pk: Any, /) -> None:
        """Put one in."""


class Sweeps:
    """Table name -> the offset below which its rows are gone.

    `known`: what was noted before, of which `tables` are watched until the replay's end; `marks(name)` makes a set.
    """

    def __init__(self, known: Mapping[str, int], tables: Iterable[str], marks: Callable[[str], Marks]) -> None:
        self.noted = dict(known)
        self.untold = False
        self.watched = {name: known[name] for name in tables if name in known}
        self._marks, self._seen = marks, dict[str, Marks]()

    def note(self, table: str, below: int) -> None:
        """Rows of a table last seen below an offset are gone."""
        if below > self.noted.get(table, -1):
            self.noted[table], self.untold = below, True

    def forget_after(self, offset: int) -> bool:
        """Watch only what was noted up to an offset, for the state as of then; True when more had been noted."""
        later = {name for name, below in self.noted.items() if below > offset}
        self.watched = {name: below for name, below in self.watched.items() if name not in later}
        return bool(later)

    def see(self, table: str, pk: Any, offset: int, *, is_empty: bool) -> None:
        """A row of a watched table stands at an offset; `is_empty`: none of the table's is remembered."""
        if offset < self.watched[table]:
            return
        if table not in self._seen:
            if is_empty:  # nothing is left from before
                del self.watched[table]
                return
            self._seen[table] = self._marks(table)
        self._seen[table].add(pk)

    def end(self) -> dict[str, Container[Any]]:
        """Stop watching: by table the pks that may stay."""
        watched, seen = self.watched, self._seen
        self.watched, self._seen = {}, {}
        return {name: seen.get(name, ()) for name in watched}
