"""Alerts over stock levels: open while the rule holds, resolved when it no longer does.

The same history of transactions gives the same alerts: rules look at levels at a transaction's end, never at a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import unquote

from pipeline.domain.change import Position
from pipeline.domain.documents import Level
from pipeline.domain.levels import StockLevels
from pipeline.domain.times import iso

NEGATIVE = "negative_available"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `since` = commit time that opened it.

    `id` = kind/item/warehouse as the served key spells them, and `/` as %2F: a code may hold one.
    """

    id: str
    kind: str
    state: str
    item: str
    warehouse: str
    available: str
    since: str
    position: str

    def to_dict(self) -> dict[str, Any]:
        """Plain fields, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises KeyError, TypeError."""
        return cls(**{name: str(d[name]) for name in cls.__slots__})


class AlertBook:
    """The open alerts, and the events (opened, resolved) that led to them."""

    def __init__(self, levels: StockLevels) -> None:
        self._levels = levels
        self.open: dict[str, Alert] = {}

    def evaluate(self, changed: Iterable[Level], position: Position, time_ms: int) -> list[Alert]:
        """What opened or ended with these (item, warehouse) levels; an open alert's quantity follows silently."""
        if not self._levels.shape.has_reserved:
            return []
        ids = [(level, self._id(level) if level.available < 0 else "") for level in changed]
        # what ends first: a code that passes from one level to another takes the alert's id along
        ended = [(self.open.pop(level.alert), level) for level, key in ids if level.alert not in ("", key)]
        events = [
            replace(alert, state="resolved", available=self._available(level), position=str(position))
            for alert, level in ended
        ]
        for level, key in ids:
            if key and level.alert == key:
                self.open[key] = replace(self.open[key], available=self._available(level))
            elif key:
                self.open[key] = self._alert(key, level, position, time_ms)
                events.append(self.open[key])
            level.alert = key
        return events

    def reconcile(self, published: dict[str, Alert], served: dict[str, Alert]) -> list[Alert]:
        """What must still be told, given the alerts the topic holds open; they keep the time they opened.

        `served`: those that Redis holds open; a worker that died in between had not told the topic yet.
        """
        events = [replace(a, state="resolved") for key, a in (served | published).items() if key not in self.open]
        self.open |= {key: replace(self.open[key], since=a.since) for key, a in published.items() if key in self.open}
        # one that ended and opened again may have ended in Redis only
        return events + [a for key, a in self.open.items() if key not in published or key not in served]

    def _id(self, level: Level) -> str:
        shape = self._levels.shape
        codes = shape.item.codes.show(level.idents[0]), shape.warehouse.codes.show(level.idents[1])
        return "/".join((NEGATIVE, *(code.replace("/", "%2F") for code in codes)))

    def _alert(self, key: str, level: Level, position: Position, time_ms: int) -> Alert:
        kind, item, warehouse = key.split("/", 2)
        return Alert(
            key, kind, "open", unquote(item), unquote(warehouse), self._available(level), iso(time_ms), str(position)
        )

    def _available(self, level: Level) -> str:
        return self._levels.write.text(level.available)
