"""Redis compared with what the worker remembers, some keys a second, and mended: nobody else may write there.

A pass looks at every level, then for keys that no level has, then at the levels below zero and the alerts. It looks
while nothing is being written (`Publisher.at_standstill`), so whatever differs was lost or is of a foreign hand.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
import structlog

from pipeline import telemetry
from pipeline.adapters import served
from pipeline.adapters.look import Look
from pipeline.adapters.redis import Gap, Projection, alert_json
from pipeline.domain.alerts import Alert
from pipeline.domain.batches import batches
from pipeline.domain.documents import Document, Level
from pipeline.domain.names import order_of
from pipeline.domain.order_lines import Order
from pipeline.domain.times import iso
from streams.fold import StockFold

AT_ONCE = 500
"""Keys in one call: it holds up readers for some 3 ms."""
PAGE_COST = 50
NAMES_PER_KEY = 5
"""Reading a name costs a fifth of comparing a key."""
BUSY_LOOKS = 10
"""Looks in a row that find somebody else writing: then it is no worker, but a word of a foreign hand."""
SHARE = 20
NAMED = 20
log = structlog.get_logger("onhand.worker")


class Scrub:
    """Looks at `rate` keys a time, and at those it is asked for. Raises Gap where everything must be projected anew."""

    def __init__(self, name: str, fold: StockFold, rate: int, now: Callable[[], float] = time.time) -> None:
        self._name, self._fold, self._rate, self._now = name, fold, rate, now
        self._redis: Projection
        self._meta: Mapping[str, str] = {}
        self._inherited = ""
        self._known: set[str] = set()
        self._pass: AsyncIterator[int] = self._everything()
        self._begun = self._evicts = False
        self._rest_until = 0.0
        self._busy = self._compared = self._named = self._mended = 0
        self._last = ""

    async def look(self, projection: Projection, meta: Mapping[str, str]) -> None:
        """Compare some keys with what must be served beside `meta`."""
        self._redis, self._meta = projection, meta
        self._inherited = self._inherited or meta["v"]
        begun = time.monotonic()
        if await self._suspects() and begun >= self._rest_until:
            await self._go_on()
            now = time.monotonic()
            self._rest_until = now + SHARE * (now - begun)  # where Redis is slow, publishing comes first

    async def _suspects(self) -> bool:
        """What somebody asked for, if only meta; False while meta says that somebody is writing."""
        names = await self._redis.suspects(AT_ONCE)
        levels = [x for x in self._fold.levels.levels.values() if x.shown in names] if names else []
        orders = [x for x in self._orders() if x.shown in names] if names else []
        known: list[Level | Order] = [*levels, *orders]
        strangers = names.difference(x.shown for x in known)
        if await self._mend(known, strangers=sorted(strangers), since=self._meta["v"]):
            self._busy = 0
            return True
        self._busy += 1
        if self._busy > BUSY_LOOKS:
            raise Gap
        return False

    async def _go_on(self) -> None:
        spent = 0
        try:
            while spent < self._rate:
                if not self._begun:
                    await self._begin()
                spent += await anext(self._pass)
        except StopAsyncIteration:
            await self._finish()
        except BaseException:
            self._begun = False
            raise

    async def _begin(self) -> None:
        self._compared = self._named = 0
        self._begun, self._known, self._pass = True, set(), self._everything()
        policy = await self._redis.policy()
        evicts = policy not in {"", "noeviction"}
        telemetry.REDIS_MAY_EVICT.labels(self._name).set(evicts)
        if evicts and not self._evicts:
            log.error("Redis may evict keys", policy=policy, fix=served.NO_EVICTION)
        self._evicts = evicts

    async def _finish(self) -> None:
        self._begun, self._known = False, set()
        telemetry.SCRUB_FINISHED.labels(self._name).set(self._now())
        done = {"finished": self._time(), "keys": self._compared, "mended": self._mended, "last": self._last}
        await self._redis.scrubbed({name: str(value) for name, value in done.items()})
        if self._named > NAMED:
            log.error("so many keys in Redis were not what we wrote", source=self._name, keys=self._named)

    # -- one pass: yields what each part costs, in keys

    async def _everything(self) -> AsyncIterator[int]:
        since = self._meta["v"]  # a key that is newer has a level that this pass does not know
        for levels in batches(list(self._fold.levels.levels.values()), min(AT_ONCE, self._rate)):
            await self._mend(levels)
            self._known.update(level.shown for level in levels if level.rows)
            yield len(levels)
        for orders in batches(list(self._orders()), min(AT_ONCE, self._rate)):
            await self._mend(orders)
            self._known.update(order.shown for order in orders if order.lines)
            yield len(orders)
        async for names in _pages(self._redis.names):
            await self._mend([], strangers=[x for x in names if x not in self._known], since=since)
            yield PAGE_COST + len(names) // NAMES_PER_KEY
        async for found in _pages(self._redis.members):
            await self._members([x for x in found[::2] if x not in self._known], since)
            yield PAGE_COST + len(found) // NAMES_PER_KEY
        yield await self._alerts()

    def _orders(self) -> Iterable[Order]:
        return self._fold.orders.orders.values() if self._fold.orders is not None else ()

    async def _members(self, unknown: Sequence[str], since: str) -> None:
        mine = f"{self._fold.levels.write.prefix}:{{"
        strangers = [x for x in unknown if x.startswith(mine)]
        await self._mend([], strangers=strangers, since=since, members=[x for x in unknown if not x.startswith(mine)])

    async def _alerts(self) -> int:
        held, is_open = await self._redis.alerts(), self._fold.book.open
        wrong = [(id_, "") for id_ in held if id_ not in is_open]
        wrong += [(id_, alert_json(a)) for id_, a in is_open.items() if not _tells(held.get(id_, ""), a)]
        for some in batches(wrong, AT_ONCE):
            await self._mend([], alerts=some)
        return len(held) + len(wrong)

    async def _mend(
        self, known: Sequence[Level | Order], *, strangers: Sequence[str] = (), since: str = "",
        members: Sequence[str] = (), alerts: Sequence[tuple[str, str]] = (),
    ) -> bool:  # fmt: skip
        documents = [self._document(x) for x in known if x.shown]
        prefix = self._fold.levels.write.prefix
        orders = [x for x in strangers if order_of(prefix, x) is not None]
        others = [x for x in strangers if order_of(prefix, x) is None] if orders else strangers
        look = Look(self._meta, self._inherited, documents, others, since, members=members, alerts=alerts)
        found = await self._redis.mend(look)
        if orders and found is not None:
            found += await self._redis.mend(Look(self._meta, strangers=orders, since=since, orders=True)) or []
        self._compared += len(documents)
        telemetry.SCRUBBED.labels(self._name).inc(len(documents))
        if found:
            self._tell(found)
        return found is not None

    def _document(self, known: Level | Order) -> Document:
        if isinstance(known, Level):
            return self._fold.levels.write.document(known)
        assert self._fold.orders is not None  # noqa: S101  # it is one of them
        return self._fold.orders.write.document(known)

    def _tell(self, found: list[tuple[str, str]]) -> None:
        for kind, _ in found:
            telemetry.REDIS_FOREIGN.labels(self._name, kind).inc()
        names = [f"{kind} {key}" for kind, key in found[: max(0, NAMED - self._named)]]
        self._named += len(found)
        self._mended += len(found)
        self._last = self._time()
        if names:
            log.error("Redis held what we did not write: mended", source=self._name, keys=names)

    def _time(self) -> str:
        return iso(int(self._now() * 1000))


async def _pages(ask: Callable[[int], Awaitable[tuple[int, list[str]]]]) -> AsyncIterator[list[str]]:
    cursor = 0
    while True:
        cursor, found = await ask(cursor)
        yield found
        if not cursor:
            return


def _tells(held: str, alert: Alert) -> bool:
    """True when it is this alert; its figures are of the time at which it was told last."""
    try:
        told = Alert.from_dict(msgspec.json.decode(held))
    except (msgspec.DecodeError, KeyError, TypeError):
        return False
    return (told.id, told.kind, told.since, told.is_open) == (alert.id, alert.kind, alert.since, True)
