"""Which result rows of one query are degraded by rows in quarantine."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.domain.levels import Group, Key
from pipeline.query import Engine

MOST = 500
"""Rows looked at to find the degraded keys; where there are more, all the query's rows are degraded instead."""


@dataclass(slots=True)
class Held:
    """A row in quarantine. `row`: as far as it can be read, `unread` its other columns; None where nothing can be."""

    offset: int
    reason: str
    table: Any
    pk: Any
    row: tuple[Any, ...] | None
    unread: frozenset[str] = frozenset()
    dropped: bool = False


class Marks:
    """The degraded rows of one query. `whole`: it is not known which they are; `watched`: tables that may tell."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self.reasons: dict[Key, str] = {}
        self.whole, self.watched = False, set[str]()
        self._engine, self._kind, self._view = engine, kind, engine.views[kind]
        self._zeros = (0,) * len(self._view.amounts)
        self._settled: dict[Key, str] = {}

    def settle(self, groups: list[Group]) -> list[Group]:
        """Degraded rows that nothing counts in become rows of nothing, so that they are served."""
        before, self._settled = self._settled, self.reasons
        groups = [(k, 1, self._zeros) if not count and k in self.reasons else (k, count, n) for k, count, n in groups]
        groups += [(key, 1, self._zeros) for key in self.reasons if key not in self._view]
        groups += [(k, 0, self._zeros) for k in before if k not in self.reasons and k not in self._view]
        return groups

    def look(self, rows: Iterable[Held], *, whole: bool) -> None:
        """Find them anew; `whole`: there are too many rows to look at."""
        self.reasons, self.watched, self.whole = {}, set(), whole
        if not whole:
            self._look(rows)

    def _look(self, rows: Iterable[Held]) -> None:
        left = MOST
        for held in rows:
            if held.table is None:
                self.whole = True
                continue
            concern = self._engine.concern(held.table.name, self._kind)
            if not concern.is_read:
                continue
            row = None if held.unread & concern.deciding else held.row
            self.whole = self.whole or row is None
            if held.pk is None:
                continue
            self.watched |= concern.watched
            keys, looked = concern.groups(held.pk, held.table.remembered(held.pk), row, left)
            left -= looked
            if left < 0:
                self.whole, self.reasons = True, {}
                return
            for key in sorted(keys, key=repr):
                self.reasons.setdefault(key, f"{held.offset}: {held.reason}")
