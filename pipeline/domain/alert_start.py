"""A worker's start: the alerts after a replay beside those that its predecessors told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.alert_book import AlertBook, Episode
from pipeline.domain.alerts import ALL, RESOLVED, Alert, Cut


@dataclass(frozen=True, slots=True)
class Before:
    """The alerts that the topic and Redis hold open, by id.

    `told`: the offset up to which everything was told, -1 where that is not known.
    """

    published: Mapping[str, Alert]
    served: Mapping[str, Alert]
    told: int


def reconcile(book: AlertBook, missed: Sequence[Alert], before: Before, cut: Cut | None) -> list[Alert]:
    """What must still be told: what the replay `missed` telling, and what the topic or Redis has otherwise.

    An episode whose beginning compaction took goes on as it was told; what began before `told` and was not told is of
    rules that are new, and summed where there is much of it.
    """
    if cut is not None:
        _Start(book, before.published, before.told, cut).settle()
    book.end_replay()
    known = dict(before.served) | dict(before.published)
    ended = [replace(a, state=RESOLVED) for ident, a in known.items() if ident not in book.open]
    # one that ended and opened again may have ended in Redis only
    opened = [a for ident, a in book.open.items() if ident not in before.published or ident not in before.served]
    # where the log ends at what was told, it was all told, by the ids that it had before compaction
    again = _as_told(missed, before) if cut is not None and cut.offset > before.told >= 0 else []
    ids = {alert.id for alert in again}
    return again + [alert for alert in ended + opened if alert.id not in ids]


def _as_told(missed: Sequence[Alert], before: Before) -> list[Alert]:
    """By the ids they were told by, where they began earlier: compaction may have taken their first cuts."""
    told: dict[str, list[Alert]] = {}
    for alert in before.published.values():
        told.setdefault(alert.stem, []).append(alert)

    def known(alert: Alert) -> Alert:
        if alert.offset > before.told or alert.is_sum:
            return alert
        same = next((other for other in told.get(alert.stem, ()) if other.offset < alert.offset), alert)
        return replace(alert, id=same.id, since=same.since)

    return [known(alert) for alert in missed]


@dataclass(frozen=True)
class _Start:
    book: AlertBook
    published: Mapping[str, Alert]
    told: int
    cut: Cut

    def settle(self) -> None:
        latest = sorted(self.published.values(), key=lambda alert: alert.offset, reverse=True)
        for alert in latest:
            self._keep(alert)
        for alert in latest:
            if alert.is_sum and alert.id not in self.book.open:
                self._sum_up(self._untold(alert.kind, max(self.told, alert.offset)), alert)
        for rule in self.book.counts:
            untold = [episode for episode in self._untold(rule.kind, self.told) if episode.sum is None]
            if len(untold) > rule.most:
                first = min(untold, key=lambda episode: episode.offset).alert
                self._sum_up(untold, replace(first, id=f"{rule.kind}/{ALL}/{first.id.rpartition('/')[2]}"))
        self.book.tell_sums(self.cut)

    def _keep(self, alert: Alert) -> None:
        """Where nothing ended and began since it was told, it is the episode that is open."""
        book, episode = self.book, self.book.episodes.get(alert.stem)
        if episode is None or not episode.is_open or episode.told_as in self.published:
            return
        ended = (book.ended or {}).get(alert.stem, -1)
        if episode.offset <= self.told or (self.told < 0 and ended <= alert.offset):
            self._take_out(episode)
            episode.alert = replace(episode.alert, id=alert.id, since=alert.since, facts=episode.facts())
            book.open[alert.id] = episode.alert

    def _untold(self, kind: str, up_to: int) -> list[Episode]:
        """The open episodes of a rule that began by then and that nobody was told of."""
        found = (e for e in self.book.episodes.values() if e.rule.kind == kind and e.is_open and e.offset <= up_to)
        return [episode for episode in found if episode.told_as not in self.published]

    def _sum_up(self, episodes: Sequence[Episode], alert: Alert) -> None:
        for episode in episodes:
            self._take_out(episode)
        if episodes:
            self.book.sum_up(episodes, alert, self.cut)

    def _take_out(self, episode: Episode) -> None:
        if episode.sum is not None:
            self.book.leave_sum(episode)
        self.book.open.pop(episode.alert.id, None)
