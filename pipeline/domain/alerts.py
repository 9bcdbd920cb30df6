"""Alerts: what a rule says of stock, from the cut at which it became so to the one at which it no longer is.

The same log gives the same alerts: rules look at what a cut leaves, and their time is the source's commit time.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from pipeline.domain.change import Position

_BASE = ("id", "kind", "state", "severity", "department", "since", "position", "count")
RESOLVED = "resolved"
ALL = "*"
"""Stands for the key in the id of an alert that sums many."""


class Cut(Protocol):
    """A consistent cut of the source: where it is in the log and in the source, and its commit time."""

    @property
    def offset(self) -> int:
        """Where in the log."""

    @property
    def position(self) -> Position:
        """Where in the source."""

    @property
    def time_ms(self) -> int:
        """When it was committed."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One kind of alert.

    `for_ms`: how long it must hold before it is told; `most`: alerts that one cut may open, more become one that counts
    them; `figures`: the facts that are told along; `when`, `until`: as they are written.
    """

    kind: str
    severity: str = "warning"
    department: str = ""
    for_ms: int = 0
    most: int = 100
    figures: tuple[str, ...] = ()
    when: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `state`: open, updated (still open) or resolved; `since`: commit time at which its rule began to hold.

    `id` = kind/key/episode, where the episode is the cut at which it began to hold, so that a replay gives the same id;
    a `/` in a code is %2F. `position`: of the cut that this state is of. `count`: how many there are, where one alert
    stands for many. `facts`: what it is about and its figures, by name.
    """

    id: str
    kind: str
    state: str
    severity: str
    department: str
    since: str
    position: str
    count: str = "1"
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """It has not ended."""
        return self.state != RESOLVED

    @property
    def stem(self) -> str:
        """Kind and key."""
        return self.id.rpartition("/")[0]

    @property
    def is_sum(self) -> bool:
        """It stands for many."""
        return self.stem == f"{self.kind}/{ALL}"

    @property
    def offset(self) -> int:
        """Where in the log its episode began; -1 where the id is not one of ours."""
        offset = self.id.rpartition(".")[2]
        return int(offset) if offset.isdecimal() else -1

    def to_dict(self) -> dict[str, str]:
        """Plain fields, for JSON."""
        return {name: getattr(self, name) for name in _BASE} | self.facts

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises KeyError, TypeError."""
        said = {name: str(value) for name, value in d.items()}
        base = {"severity": "", "department": "", "count": "1", "position": ""} | said
        facts = {name: value for name, value in said.items() if name not in _BASE}
        return cls(**{name: base[name] for name in _BASE}, facts=facts)


def told_again(
    alert: Alert, state: str, cut: Cut, facts: dict[str, str], *, count: int = 1, since: str | None = None
) -> Alert:
    """The alert in another state, as of a cut."""
    since = alert.since if since is None else since
    return replace(alert, state=state, position=str(cut.position), facts=facts, count=str(count), since=since)
