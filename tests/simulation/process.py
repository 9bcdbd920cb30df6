"""A worker process: the real Publisher, StockFold and Projection on simulated wires, killed or frozen at any effect."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio.connection import Connection

from pipeline.adapters.redis import Projection
from pipeline.domain.alerts import Alert
from pipeline.domain.errors import RefusedError
from pipeline.domain.levels import stock_levels
from streams.fold import StockFold
from streams.ledger import Ledger
from streams.publish import Publisher
from streams.quarantine import Quarantine
from streams.scrub import Scrub
from tests.simulation.engines import engines
from tests.simulation.server import Session
from tests.streams.erp import PREFIX

if TYPE_CHECKING:
    from tests.simulation.world import World

COMMIT_SECONDS, IDLE_SECONDS, SCRUB_SECONDS, SCRUB_RATE = 1.0, 0.1, 4.0, 12


class Wire(Connection):
    """A connection whose socket is a process's way to the simulated Redis."""

    def __init__(self, *, process: "Process", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._process = process

    def __del__(self) -> None:
        """The dead close nothing: there is no socket to warn of."""

    async def _connect(self) -> None:
        await self._process.point("connecting to Redis")
        if self._process.world.redis_away:
            raise ConnectionRefusedError
        self._reader = asyncio.StreamReader(loop=self._process.world.loop)
        self._writer = Socket(self._process, self._reader)  # type: ignore[assignment]


class Socket:
    """Both ends of it: what is written reaches the server later, in order, whole or in part or never."""

    def __init__(self, process: "Process", reader: asyncio.StreamReader) -> None:
        self._process, self._world, self._reader = process, process.world, reader
        self._session, self._free_at, self._closed = Session(), 0.0, False
        self.transport = self
        process.world.sockets.append(self)

    def write(self, data: bytes) -> None:
        self._later(lambda: self._arrive(data))

    def writelines(self, chunks: Iterable[bytes]) -> None:
        self.write(b"".join(chunks))

    async def drain(self) -> None:
        """The kernel takes everything."""

    def close(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed

    async def wait_closed(self) -> None:
        """It is at once."""

    def reset(self) -> None:
        """The connection breaks."""
        if not self._closed:
            self._closed = True
            self._reader.set_exception(ConnectionResetError("reset"))

    def _later(self, act: Callable[[], None]) -> None:
        loop = self._world.loop
        self._free_at = max(self._free_at, loop.time()) + self._world.latency()
        loop.call_at(self._free_at, self._process.when_running, act)

    def _arrive(self, data: bytes) -> None:
        world, process = self._world, self._process
        if self._closed or world.redis_away:
            return
        world.step(process, "sent to Redis")
        commands = self._session.commands(data)
        torn = world.due("torn") or not process.alive
        some = commands[: world.rng.randint(0, len(commands))] if torn else commands
        replies = b"".join(world.execute(command) for command in some)
        if not torn:
            world.step(process, "executed by Redis")
        if torn or world.due("reply lost"):
            self.reset()
            return
        self._later(lambda: self._reply(replies))

    def _reply(self, replies: bytes) -> None:
        if not self._closed:
            self._reader.feed_data(replies)


class Alerts:
    """The alerts topic as a process reaches it."""

    def __init__(self, process: "Process") -> None:
        self._process, self._topic = process, process.world.alerts

    async def open(self) -> dict[str, Alert]:
        await self._process.point("reading the alerts topic")
        latest = {key: Alert.from_dict(msgspec.json.decode(value)) for key, value in self._topic}
        return {key: a for key, a in latest.items() if a.is_open}

    async def tell(self, events: list[Alert]) -> None:
        for a in events:
            await self._process.point("before an alert")
            self._topic.append((a.id, msgspec.json.encode(a.to_dict())))
            await self._process.point("after an alert")


class Notes:
    """What is noted beside the log."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def sweep(self, tables: Any) -> None:
        await self._process.point("before a note")
        self._process.world.noted_sweeps = self._process.identity.log_epoch, dict(tables)
        await self._process.point("after a note")

    async def quarantine(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in records:
            await self._process.point("before a row in quarantine is noted")
            self._process.world.quarantine[key] = value
        await self._process.point("after rows in quarantine were noted")


class Mending(Scrub):
    """`mended`: keys left otherwise by workers. Meta does not count: one that slept says its state there."""

    mended = 0

    def _tell(self, found: list[tuple[str, str]]) -> None:
        self.mended += sum(kind != "meta" for kind, _ in found)
        super()._tell(found)


class Process:
    """One worker from its start to its death."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.alive, self.why = True, ""
        self._frozen: asyncio.Future[None] | None = None
        self.ledger = Ledger()
        self.engine = engines.take()
        identity = self.identity = world.identity
        levels = stock_levels(PREFIX, self.engine.views["stock"], "stock")
        reader = engines.reader(self.engine)
        quarantine = Quarantine(self.engine, reader, world.noted(), identity.log_epoch)
        fold = StockFold(self.engine, levels, reader, world.swept, quarantine)
        projection = Projection("redis://simulated", PREFIX, identity.epoch, None, lambda: None)
        pool = projection._redis._redis.connection_pool
        pool.connection_class = Wire
        pool.connection_kwargs["process"] = self
        self.publisher = Publisher(
            identity, fold, projection, ledger=self.ledger, alerts=Alerts(self), notes=Notes(self), now=world.now
        )
        self.scrub = Mending(identity.name, fold, SCRUB_RATE, world.now)
        works = [self._consume(), self._commit(), *([self._compare()] if world.plan.scrubs else [])]
        # kept: the loop forgets a task that waits for what never comes
        self._tasks = [world.loop.create_task(self._guarded(work)) for work in works]

    # -- death and sleep

    async def point(self, what: str) -> None:
        """Between two effects: time passes, and faults come."""
        await asyncio.sleep(self.world.latency())
        self.world.step(self, what)
        await self._running()

    async def _running(self) -> None:
        while self._frozen is not None:
            await asyncio.shield(self._frozen)
        if not self.alive:
            await self.world.loop.create_future()  # never

    def when_running(self, act: Callable[[], None]) -> None:
        """Do it now, or when we are thawed."""
        if self._frozen is not None:
            self._frozen.add_done_callback(lambda _: self.when_running(act))
        else:
            act()

    def freeze(self, seconds: float) -> None:
        if self._frozen is None and self.alive:
            self._frozen = self.world.loop.create_future()
            self.world.loop.call_later(seconds, self.thaw)

    def thaw(self) -> None:
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            frozen.set_result(None)

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def die(self, why: str) -> None:
        if self.alive:
            self.alive, self.why = False, why
            self.world.say(f"worker {self.number} ended: {why}")
            self.thaw()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except RefusedError as e:
            if self.alive:
                self.world.refused.append(e.what)
                self.world.must_read_anew |= self.identity is self.world.identity and "no worker had seen" in e.what
                self.die(e.what)
        except asyncio.CancelledError:
            raise
        except BaseException as e:  # noqa: BLE001  # whatever it is, the simulation has found it
            if self.alive:
                self.world.broken(e)
                self.die(repr(e))

    # -- what streams.transport and streams.app do around the publisher

    async def _consume(self) -> None:
        world, generation, at = self.world, -1, 0
        while True:
            await self._running()
            batch: list[Any] = []
            if world.owner is self:
                if generation != world.generation:
                    generation = world.generation
                    await self.point("assigned the log")
                    if self.ledger.replay_until is None:
                        self.ledger.committed_metadata = world.committed[1]
                        self.ledger.replay_until = world.end()
                    at = self.ledger.folded + 1
                batch = world.fetch(at)
            if not batch:
                await asyncio.sleep(IDLE_SECONDS)
                continue
            await self.point("fetched")
            await self.publisher.take(batch)
            at = batch[-1].offset + 1

    async def _commit(self) -> None:
        world, done = self.world, None
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._running()
            if world.owner is not self or self.ledger.published in (None, done):
                continue
            offset, metadata = self.ledger.published, self.ledger.metadata
            await self.point("before a commit")
            if world.owner is not self or world.due("commit lost"):
                continue
            world.commit(offset, metadata)
            done = offset
            await self.point("after a commit")

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(SCRUB_SECONDS)
            await self._running()
            await self.publisher.at_standstill(self.scrub.look)

    def done(self) -> bool:
        """All there is was taken, published and committed."""
        return self.world.committed[0] == self.ledger.published == self.world.end()
