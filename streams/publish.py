"""From replay to live, and what readers get: cuts to Redis, alerts to their topic, then the offset to commit."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable

import structlog

from pipeline.adapters.redis import ATOMIC, Cut, Gap, Projection, version
from pipeline.domain.alert_start import Before, reconcile
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.domain.errors import RefusedError
from pipeline.domain.health import Effect
from pipeline.domain.times import iso
from streams.feeds import Feeds
from streams.fold import Place, StockFold
from streams.held import fenced, readable_alerts, told_up_to, usable_offset
from streams.holes import Fetched, Holes
from streams.ledger import Ledger
from streams.measure import Gauges
from streams.ports import AlertTopic, Identity, Notes

GROUPS_PER_ROW = 6
"""Documents one changed row touches at most: detail, level and item, of where it was and where it is."""
YIELD_EVERY = 256
log = structlog.get_logger("onhand.worker")


class Publisher:
    """Folds batches and makes consistent cuts visible."""

    def __init__(
        self,
        identity: Identity,
        fold: StockFold,
        projection: Projection,
        *,
        ledger: Ledger,
        alerts: AlertTopic,
        notes: Notes,
        feeds: Feeds | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.identity, self.fold, self.ledger = identity, fold, ledger
        self._projection, self._alerts, self._notes, self._now = projection, alerts, notes, now
        self._feeds = feeds or Feeds()
        self._gauges, self._holes = Gauges(identity.name, now), Holes(now)
        self.live = False
        fold.closing = self._closing
        self._held, self._served = dict[str, str](), dict[str, str]()
        self._held_offset = self._told = -1
        self._floor = Position(0)
        self._effect: Effect = ""
        self._first: tuple[int, bytes | None] = (0, None)
        self._prev: str | None = None
        self._cuts, self._untold = list[Cut](), list[Alert]()
        self._sending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def take(self, records: list[Fetched]) -> None:
        """Fold a fetched batch; begin to publish what became visible. Raises what publishing the last one raised."""
        async with self._turn:
            await self._take(records)

    async def at_standstill(self, look: Callable[[Projection, dict[str, str]], Awaitable[None]]) -> None:
        """Have a `look` at Redis while it must hold exactly what is remembered, and in meta what is given along."""
        async with self._turn:
            await self.settled()
            place, waiting = self.fold.place, self._cuts or self.fold.changes
            if place is None or not self.live or waiting or self._v(place) != self._served.get("v"):
                return
            try:
                with fenced():
                    await look(self._projection, self._served)
            except Gap:
                await self._rebuild(place)

    async def _take(self, records: list[Fetched]) -> None:
        if self.ledger.folded < 0:
            await self._start()
            self._first = records[0].offset, records[0].value
        if not self.live:
            self._holes.look(records)
        fold, ledger = self.fold.fold, self.ledger
        for record in records:
            offset = record.offset
            if offset <= ledger.folded:
                self._check_fetched_again(record)
                continue
            if 0 <= ledger.folded <= self._held_offset < offset:
                self._pass_held()
            fold(record)
            ledger.folded = offset
            if not offset % YIELD_EVERY:
                await asyncio.sleep(0)  # the socket to Redis is fed by this loop
        self.fold.tidy()
        self.fold.engine.store.flush(ledger.folded)
        if self.fold.quarantine.untold:
            await self._notes.quarantine(self.fold.quarantine.told())
        self._gauges.folded(len(records), ledger.folded)
        if self.live:
            self._check_identity()
            await self._publish()
        elif ledger.folded + 1 >= (ledger.replay_until or 0):
            await self._go_live()

    def _closing(self, rows: int) -> None:
        place, changes = self.fold.place, self.fold.changes
        if not self.live:
            if place is None or place.offset <= self._told:
                self.fold.events.clear()
            return
        # before the first projection and below the floor nothing may be cut: what comes then shows everything at once
        begun = self._prev is not None and place is not None and place.position >= self._floor
        if begun and place and changes and changes + GROUPS_PER_ROW * rows > ATOMIC:
            self._cuts.append(self._cut(place))  # so that no transaction is torn between two calls
        if rows:
            self._gauges.pending += 1

    # -- from replay to live

    async def _start(self) -> None:
        await self._projection.start()
        self._held = await self._projection.meta()
        self._held_offset = self._usable_offset()
        self._told = told_up_to(self.ledger.committed_metadata, self.identity.log_epoch)
        self._feeds.movements.begin(self._told)
        if not self._held:
            await self._projection.state("replaying")
        self._gauges.state("replaying")
        log.info("replaying the log", until=self.ledger.replay_until)

    def _usable_offset(self) -> int:
        return usable_offset(self._held, self.identity, self.fold.sweeps.watched, self._now() * 1000)

    def _pass_held(self) -> None:
        """All that was folded is served already, under the names that it has without ghosts."""
        self.fold.sweep()
        self.fold.documents()

    async def _go_live(self) -> None:
        self._check_identity()
        self._holes.check(self.identity, self.ledger)
        # what is remembered stays: without this, full collections walk it all, 200 to 400 ms at 1M rows
        gc.collect()
        gc.freeze()
        if self.ledger.folded <= self._held_offset:
            self._pass_held()
        self.fold.end_replay()
        self.live = True
        log.info("log replayed", offset=self.ledger.folded, rows=self.fold.rows)
        self._floor = self._served_before()
        before = Before(await self._alerts.open(), readable_alerts(await self._projection.alerts()), self._told)
        self.fold.events = reconcile(self.fold.book, self.fold.events, before, self.fold.place)
        self._prev = self._held["v"] if self._held_offset >= 0 else None
        if self._prev is not None:
            await self._feeds.orders.reconcile()
        if self.fold.place is None:
            await self._projection.state("snapshot")
            self._gauges.state("snapshot")
        await self._publish()

    def _check_fetched_again(self, record: Fetched) -> None:
        """A rebalance fetches records again; a log that was deleted and made anew has others at their offsets."""
        first, value = self._first
        if record.offset == first and record.value != value:
            raise self._another_log()

    def _another_log(self) -> RefusedError:
        fix = f"onhand apply --snapshot {self.identity.name}, then start the worker again"
        return RefusedError("the log is not the one that was applied: its epoch differs", fix)

    def _check_identity(self) -> None:
        if self.live and (self.fold.epoch or 0) > self.identity.log_epoch:
            raise RefusedError("the source is read anew, by another snapshot", "start the worker again")
        if self.fold.epoch != self.identity.log_epoch:
            raise self._another_log()
        if self.fold.applied_at > self.identity.epoch:
            raise RefusedError("the source was applied again with another mapping", "start the worker again")

    def _served_before(self) -> Position:
        """The highest position readers ever saw in this epoch, by Redis and by the last commit."""
        seen = [Position(0)]
        v, _, position = self.ledger.committed_metadata.partition(" ")
        if v.startswith(f"{self.identity.epoch:010d}."):
            seen.append(Position.parse(position))
        if self._held_offset >= 0:
            seen.append(Position.parse(self._held["position"]))
        return max(seen)

    # -- publish

    async def _publish(self) -> None:
        await self.settled()
        place = self.fold.place
        if place is None or place.position < self._floor or self.fold.holds_ghosts:
            return
        if not self._cuts and self._v(place) == self._prev and not self.fold.changes:
            return
        if self._prev is None:
            await self._rebuild(place)
            return
        cuts, self._cuts = [*self._cuts, self._cut(place)], []
        # Redis writes while the next batch is folded
        self._sending = asyncio.create_task(self._send(place, cuts))

    async def settled(self) -> None:
        """Wait until what was taken is published."""
        sending, self._sending = self._sending, None
        try:
            if sending is not None:
                await sending
        except Gap:
            assert self.fold.place is not None  # noqa: S101  # something was sent, so there is a place
            await self._rebuild(self.fold.place)

    async def _send(self, place: Place, cuts: list[Cut]) -> None:
        self._untold += [alert for cut in cuts for alert in cut.alerts]
        self._feeds.note(cuts)
        with fenced():
            await self._projection.publish(cuts)
        self._served = cuts[-1].meta
        await self._accepted(place, sum(len(cut.documents) for cut in cuts))

    async def _rebuild(self, place: Place) -> None:
        """Project everything as of `place`: nothing of use is served, or Redis was emptied or put back."""
        log.info("projecting everything to Redis", levels=len(self.fold.levels.levels))
        self._gauges.state("rebuilding")
        self._untold += [alert for cut in self._cuts for alert in cut.alerts] + self.fold.events
        dropped, self._cuts, self.fold.events, self._prev = self._cuts, [], [], self._v(place)
        unsent = [*dropped, Cut(self._prev, None, [], {}, movements=self._feeds.movements.take())]
        cut = Cut(self._prev, None, [], self._meta(place), movements=self._feeds.movements.note(unsent))
        documents, alerts = self.fold.all_documents(), self.fold.book.open.values()
        try:
            with fenced():
                written = await self._projection.rebuild(cut, documents, alerts)
        except Gap:
            await self._rebuild(place)  # Redis has lost again what was written by then
        else:
            self._served = cut.meta
            await self._feeds.orders.reconcile()
            await self._accepted(place, written)

    async def _accepted(self, place: Place, written: int) -> None:
        """Redis took it as newer: tell the alerts, then let the offset be committed."""
        told, self._untold = self._untold, []
        if told:
            await self._alerts.tell(told)
        await self._feeds.tell()
        if self.fold.sweeps.untold:
            self.fold.sweeps.untold = False
            await self._notes.sweep(self.fold.sweeps.noted)
        if self.fold.quarantine.ended:
            await self._notes.quarantine(self.fold.quarantine.endings(place.offset))
        self.ledger.metadata = f"{self._v(place)} {place.position}"
        self.ledger.published = place.offset + 1
        self._gauges.published(self.fold, place.time_ms, told, written)
        self._gauges.state(self._state)

    def _cut(self, place: Place) -> Cut:
        v, prev, self._prev = self._v(place), self._prev, self._v(place)
        events, self.fold.events = self.fold.events, []
        return Cut(v, prev, self.fold.documents(), self._meta(place), events, self._feeds.movements.take())

    def _v(self, place: Place) -> str:
        return version(self.identity.epoch, place.offset)

    def _meta(self, place: Place) -> dict[str, str]:
        return {
            "source": self.identity.name,
            "state": self._state,
            "epoch": str(self.identity.epoch),
            "digest": self.identity.digest,
            "offset": str(place.offset),
            "position": str(place.position),
            "as_of": iso(place.time_ms),
            "quiet": str(int(place.quiet)),
            "quarantined": str(self.fold.quarantined),
            "v": self._v(place),
        }

    async def doubt(self, effect: Effect) -> None:
        """Readers are told what the log itself does not say, and until when; may be repeated."""
        self._effect = effect
        async with self._turn:
            await self.settled()
            if self.live and self._prev is not None:
                self._served |= {"state": self._state} if self._served else {}
                await self._projection.state(self._state)

    @property
    def _state(self) -> str:
        return "degraded" if self.fold.quarantine.whole else self._effect or "live"
