"""The open alerts, and the events (open, updated, resolved) that led to them."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.domain.alerts import ALL, RESOLVED, Alert, Cut, Rule, told_again
from pipeline.domain.documents import Level
from pipeline.domain.scope import Scope
from pipeline.domain.times import iso


@dataclass(slots=True, eq=False)
class Sum:
    """One alert that stands for many which opened at once; `members`: those that have not ended."""

    alert: Alert
    members: int


@dataclass(slots=True, eq=False)
class Episode:
    """A rule holds of a thing, from the cut at `offset` on; told since it `is_open`, by itself or within a sum."""

    rule: Rule
    scope: Scope
    thing: Any
    alert: Alert
    offset: int
    is_open: bool = False
    is_over: bool = False
    sum: Sum | None = None

    @property
    def told_as(self) -> str:
        """The id under which it is told."""
        return self.alert.id if self.sum is None else self.sum.alert.id

    def facts(self) -> dict[str, str]:
        """What it is about, and its figures now."""
        return self.scope.facts(self.thing, self.rule)


@dataclass(slots=True, eq=False)
class Watched:
    """What holds of one thing, by the rule's bit, under the key that it had then."""

    key: str
    episodes: dict[int, Episode] = field(default_factory=dict)


class AlertBook:
    """The alerts of one source.

    `epoch`: when its log was begun, part of every id; `open`: what is, by id; `counts`: how many are of each rule, also
    within sums; `episodes`: by kind and key; `ended`: during a replay, the offset at which those ended last.
    """

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self.scopes = scopes
        self.epoch = 0
        self.open: dict[str, Alert] = {}
        self.counts: dict[Rule, int] = {rule: 0 for scope in scopes for rule in scope.rules}
        self.episodes: dict[str, Episode] = {}
        self.ended: dict[str, int] | None = {}
        self._waiting: list[tuple[int, int, Episode]] = []
        self._begun = 0
        self._changed_sums: dict[Sum, None] = {}
        self._events: list[Alert] = []

    def evaluate(self, changed: Sequence[Level], cut: Cut) -> list[Alert]:
        """What opened, changed or ended, given the (item, warehouse) levels that changed up to a cut."""
        found = [(scope, things) for scope in self.scopes if (things := scope.find(changed))]
        if not found and not (self._waiting and self._waiting[0][0] <= cut.time_ms):
            return []
        judged = [(scope, thing, *scope.judge(thing)) for scope, things in found for thing in things]
        # what ends first: a code may pass from one thing to another
        for scope, thing, holds, lasts in judged:
            self._go_on(scope, thing, holds, lasts, cut)
        opening: dict[Rule, list[Episode]] = {}
        begun = (e for scope, thing, holds, _ in judged for e in self._begin(scope, thing, holds, cut))
        for episode in (*begun, *self._ripe(cut.time_ms)):
            opening.setdefault(episode.rule, []).append(episode)
        for episodes in opening.values():
            self._open(episodes, cut)
        self.tell_sums(cut)
        events, self._events = self._events, []
        return events

    # -- what held before

    def _go_on(self, scope: Scope, thing: Any, holds: int, lasts: int, cut: Cut) -> None:
        watched: Watched | None = thing.alert
        if watched is None:
            return
        renamed = (holds or lasts) and watched.key != scope.key(thing)
        for at, episode in list(watched.episodes.items()):
            if renamed or not (holds >> at & 1 or (episode.is_open and lasts >> at & 1)):
                del watched.episodes[at]
                self._end(episode, cut)
            elif episode.is_open and episode.sum is None:
                self._follow(episode, cut)
        if not watched.episodes:
            thing.alert = None

    def _follow(self, episode: Episode, cut: Cut) -> None:
        facts = episode.facts()
        if facts != episode.alert.facts:
            episode.alert = self.open[episode.alert.id] = told_again(episode.alert, "updated", cut, facts)
            self._events.append(episode.alert)

    def _end(self, episode: Episode, cut: Cut) -> None:
        del self.episodes[episode.alert.stem]
        episode.is_over = True
        if not episode.is_open:
            return
        self.counts[episode.rule] -= 1
        if self.ended is not None:
            self.ended[episode.alert.stem] = cut.offset
        if episode.sum is not None:
            self.leave_sum(episode)
            return
        del self.open[episode.alert.id]
        # it may go by another code now: what it was about stays
        figures = {name: value for name, value in episode.facts().items() if name in episode.rule.figures}
        self._events.append(told_again(episode.alert, RESOLVED, cut, episode.alert.facts | figures))

    # -- what begins to hold

    def _begin(self, scope: Scope, thing: Any, holds: int, cut: Cut) -> Iterator[Episode]:
        """The episodes that open at once."""
        watched: Watched | None = thing.alert
        for at, rule in enumerate(scope.rules):
            if not holds >> at & 1 or (watched is not None and at in watched.episodes):
                continue
            watched = watched or Watched(scope.key(thing))
            thing.alert = watched
            alert = self._alert(rule, watched.key, cut)
            episode = watched.episodes[at] = self.episodes[alert.stem] = Episode(rule, scope, thing, alert, cut.offset)
            if rule.for_ms:
                self._begun += 1
                heapq.heappush(self._waiting, (cut.time_ms + rule.for_ms, self._begun, episode))
            else:
                yield episode

    def _alert(self, rule: Rule, key: str, cut: Cut) -> Alert:
        ident = f"{rule.kind}/{key}/{self.epoch}.{cut.offset}"
        return Alert(ident, rule.kind, "open", rule.severity, rule.department, iso(cut.time_ms), str(cut.position))

    def _ripe(self, time_ms: int) -> Iterator[Episode]:
        """The episodes that have held for as long as their rule asks."""
        while self._waiting and self._waiting[0][0] <= time_ms:
            episode = heapq.heappop(self._waiting)[2]
            if not episode.is_over:
                yield episode

    def _open(self, episodes: Sequence[Episode], cut: Cut) -> None:
        """Episodes of one rule."""
        rule = episodes[0].rule
        self.counts[rule] += len(episodes)
        for episode in episodes:
            episode.is_open = True
        if len(episodes) > rule.most:
            self.sum_up(episodes, self._alert(rule, ALL, cut), cut)
            return
        for episode in episodes:
            episode.alert = told_again(episode.alert, "open", cut, episode.facts())
            self.open[episode.alert.id] = episode.alert
            self._events.append(episode.alert)

    # -- sums

    def sum_up(self, episodes: Sequence[Episode], alert: Alert, cut: Cut) -> None:
        """Tell these as one."""
        since = min(alert.since, *(episode.alert.since for episode in episodes))
        alert = told_again(alert, "open", cut, {}, count=len(episodes), since=since)
        total = Sum(alert, len(episodes))
        for episode in episodes:
            episode.sum = total
        self.open[alert.id] = alert
        self._events.append(alert)

    def leave_sum(self, episode: Episode) -> None:
        """It is not told within a sum any more."""
        assert episode.sum is not None  # noqa: S101  # the caller asked
        episode.sum.members -= 1
        self._changed_sums[episode.sum] = None
        episode.sum = None

    def tell_sums(self, cut: Cut) -> None:
        """Tell how many are left, once a cut."""
        for total in self._changed_sums:
            state = "updated" if total.members else RESOLVED
            total.alert = self.open[total.alert.id] = told_again(total.alert, state, cut, {}, count=total.members)
            self._events.append(total.alert)
            if not total.members:
                del self.open[total.alert.id]
        self._changed_sums.clear()

    def end_replay(self) -> None:
        """What led to the open alerts was told before."""
        self.ended = None
        self._events.clear()
