"""What the live table knows: the served stock, the step that changed it, how fast it came, what is alarming."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from infra.demo.feed import Change


class Row(NamedTuple):
    """An (item, warehouse): its served fields, and the step that caused its last change (-1: before the story)."""

    fields: dict[str, str]
    changed_ms: int
    step: int


def alert_text(alert: dict[str, Any]) -> str:
    """What an alert says, in a line."""
    figures = ", ".join(f"{name.replace('_', ' ')} {alert[name]}" for name in ("on_hand", "available") if name in alert)
    about = f" of {alert['item']} in {alert['warehouse']}" if {"item", "warehouse"} <= alert.keys() else ""
    return f"{figures or alert['kind']}{about}"


class AlertEvent(NamedTuple):
    """An alert that opened or was resolved by the change that step `step` caused."""

    alert: dict[str, Any]
    resolved: bool
    step: int


@dataclass
class Board:
    """Fed with steps as they begin and with what Redis serves; asked by whoever draws.

    steps: (began, words) · rows: as served now · touched: by step, what it left at each (item, warehouse) ·
    latencies: by step, milliseconds from commit to readable
    """

    steps: list[tuple[float, str]] = field(default_factory=list)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    touched: list[dict[tuple[str, str], dict[str, str]]] = field(default_factory=list)
    latencies: list[list[float]] = field(default_factory=list)
    events: list[AlertEvent] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    most_alerts: int = 0
    meta: dict[str, str] = field(default_factory=dict)

    def begin(self, says: str, now_ms: float) -> None:
        """A step starts: what is committed from now on, until the next, is its doing."""
        self.steps.append((now_ms, says))
        self.touched.append({})
        self.latencies.append([])

    def take(self, changes: Iterable[Change], meta: dict[str, str], alerts: list[dict[str, Any]]) -> None:
        """What Redis served since the last call."""
        for change in changes:
            step = bisect_right(self.steps, float(change.changed_ms), key=lambda begun: begun[0]) - 1
            key = (change.item, change.warehouse)
            self.rows[key] = Row(change.fields, change.changed_ms, step)
            if step >= 0:
                self.latencies[step].append(change.seen_ms - change.changed_ms)
                self.touched[step][key] = change.fields
        self._compare(alerts)
        self.meta = meta

    def step_says(self, step: int) -> str:
        """The step's words; before the story there was the opening stock."""
        return self.steps[step][1] if step >= 0 else "opening stock"

    def milliseconds(self, share: float) -> float | None:
        """Commit to readable, the value that `share` of all changes stay below; None before the first."""
        return quantile([one for step in self.latencies for one in step], share)

    def _compare(self, alerts: list[dict[str, Any]]) -> None:
        before, now = ({alert["id"]: alert for alert in some} for some in (self.alerts, alerts))
        self.events += [self._event(alert, False) for key, alert in now.items() if key not in before]
        self.events += [self._event(alert, True) for key, alert in before.items() if key not in now]
        self.alerts, self.most_alerts = alerts, max(len(alerts), self.most_alerts)

    def _event(self, alert: dict[str, Any], resolved: bool) -> AlertEvent:
        row = self.rows.get((alert.get("item", ""), alert.get("warehouse", "")))
        return AlertEvent(alert, resolved, row.step if row else -1)


def quantile(values: list[float], share: float) -> float | None:
    """The value below which `share` of `values` lie (nearest rank); None without values."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else None
