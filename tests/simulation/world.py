"""One simulation: a log that grows, workers that fold it, a Redis that serves it, faults between any two effects."""

import asyncio
import random
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import stamina.instrumentation
import structlog

import pipeline.adapters.redis as projection
from pipeline.adapters.quarantine import Entry, Noted
from pipeline.rules import compile as rules
from streams import publish, scrub
from streams.ports import Identity
from tests.simulation.ending import check
from tests.simulation.engines import conditions, engines
from tests.simulation.history import BEGIN_MS, WEEK_MS, History
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process, Socket
from tests.simulation.reader import Lie, Reader
from tests.simulation.server import Server
from tests.streams.erp import DIGEST, LOG_EPOCH, Record

EPOCH = LOG_EPOCH + 5
PATIENCE = 900.0
"""Seconds of the simulation in which everything must have come right once the faults are over."""
HEARTBEAT = 10.0
FOREIGN = "foreign hand"
KINDS = {
    "kill": 30,
    "freeze": 14,
    "torn": 10,
    "reply lost": 10,
    "commit lost": 4,
    "rebalance": 8,
    "redis emptied": 8,
    "redis put back": 8,
    "redis away": 6,
    "redis read only": 4,
    FOREIGN: 5,
    "another worker": 5,
}


@dataclass(frozen=True)
class Fault:
    """At which effect what happens; `seconds`: how long, where it lasts."""

    step: int
    kind: str
    seconds: float


@dataclass
class Plan:
    """What a seed stands for. Shortened, it is still a simulation: that is how a failing one is made small."""

    seed: int
    length: int
    bad: bool
    weeks: bool
    faults: list[Fault]
    without: frozenset[int] = frozenset()
    scrubs: bool = False

    @classmethod
    def of(cls, seed: int, length: int | None = None, without: frozenset[int] = frozenset()) -> "Plan":
        rng = Random(f"plan {seed}")
        drawn = rng.choice((5, 8, 12, 20, 40))
        bad, weeks = rng.random() < 0.2, rng.random() < 0.25
        faults = [
            Fault(rng.randint(1, 14 * drawn + 20), kind, rng.choice((0.1, 3.0, 12.0, 40.0)))
            for kind in rng.choices(list(KINDS), list(KINDS.values()), k=rng.choice((0, 1, 2, 3, 4, 6)))
        ]
        scrubs = rng.random() < 0.2 or any(f.kind == FOREIGN for f in faults)
        left = [f for i, f in enumerate(faults) if i not in without]
        return cls(seed, length or drawn, bad, weeks, left, without, scrubs)


class World:
    """Everything around the workers."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.rng, self.loop = plan, Random(f"world {plan.seed}"), VirtualLoop()
        self.history = History(plan.seed, plan.length, bad=plan.bad, weeks=plan.weeks)
        self.server = Server(self.now)
        self.reader = Reader(self.history, self.server)
        self.identity = Identity("small", LOG_EPOCH, EPOCH, DIGEST)
        self.records: list[Record] = []
        self.compacted = False
        self.committed: tuple[int | None, str] = (None, "")
        self.alerts: list[tuple[str, bytes]] = []
        self.noted_sweeps: tuple[int, dict[str, int]] = (LOG_EPOCH, {})
        self.quarantine: dict[bytes, bytes | None] = {}
        self.processes: list[Process] = []
        self.owner: Process | None = None
        self.generation = 0
        self.sockets: list[Socket] = []
        self.redis_away = False
        self.refused: list[str] = []
        self.must_read_anew = False
        self.failure: BaseException | None = None
        self.trace: list[str] = []
        self.steps = self._shown = self._weeks = 0
        self._waiting = sorted(plan.faults, key=lambda f: f.step)
        self._due: list[str] = []
        self._kept: list[Any] = []
        self._owner_lost_at: float | None = None

    # -- time

    def now(self) -> float:
        return (BEGIN_MS + self._weeks * WEEK_MS) / 1000 + self.loop.time()

    def latency(self) -> float:
        return self.rng.choice((0.0, 0.001, 0.001, 0.004, 0.03))

    def say(self, what: str) -> None:
        self.trace.append(f"{self.loop.time():9.3f} {what}")

    # -- the log

    def _grow(self) -> None:
        log, now = self.history.log, self.loop.time() * 1000
        while self._shown < len(log.records) and log.due[self._shown] <= now:
            if log.weeks[self._shown] > self._weeks:
                self._weeks = log.weeks[self._shown]
                self.say("a week without a change")
                self._compact()
            self.records.append(log.records[self._shown])
            self._shown += 1

    def _compact(self) -> None:
        """Of what is older than a week keep the last record of each key, and most tombstones not.

        Whoever runs has read it: only a worker that starts anew can meet a log that lost what it never saw.
        """
        read = min((p.ledger.folded for p in self.processes if p.alive and p.ledger.replay_until), default=2**63)
        old = self.rng.randint(0, sum(r.offset <= read for r in self.records))
        last = {r.key: r.offset for r in self.records[:old]}
        tombstones = self.rng.random() < 0.2
        kept = [r for r in self.records[:old] if last[r.key] == r.offset and (tombstones or r.value is not None)]
        self.compacted = self.compacted or len(kept) < old
        self.records[:old] = kept

    def end(self) -> int:
        self._grow()
        return self.records[-1].offset + 1 if self.records else 0

    def fetch(self, at: int) -> list[Record]:
        self._grow()
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.records[middle].offset < at else (low, middle)
        return self.records[low : low + self.rng.choice((1, 3, 10, 50, 200))]

    def all_shown(self) -> bool:
        self._grow()
        return self._shown == len(self.history.log.records)

    # -- Kafka's group

    def commit(self, offset: int, metadata: str) -> None:
        v = metadata.partition(" ")[0]
        if v > self.reader.highest:
            self.broken(Lie(f"committed {v}, readers saw no more than {self.reader.highest}"))
        if offset > int(v.rpartition(".")[2]) + 1:
            self.broken(Lie(f"committed {offset} with {v}"))
        self.committed = (offset, metadata)

    def _assign(self, process: Process | None) -> None:
        self.owner, self.generation, self._owner_lost_at = process, self.generation + 1, None
        self.say(f"the log goes to worker {process.number if process else None}")

    def _lead(self) -> None:
        """The group after a while: whoever is there gets the log; a member that was silent for a session loses it."""
        there = [p for p in self.processes if p.alive and not p.frozen]
        owner = self.owner
        if owner is not None and owner.alive and not owner.frozen:
            self._owner_lost_at = None
            return
        if self._owner_lost_at is None and owner is not None:
            self._owner_lost_at = self.loop.time() + self.rng.choice((0.0, 10.0))
            return
        if there and (owner is None or self.loop.time() >= (self._owner_lost_at or 0)):
            self._assign(self.rng.choice(there))

    def start_worker(self) -> None:
        process = Process(self, len(self.processes) + 1)
        self.processes.append(process)
        self.say(f"worker {process.number} starts")

    def noted(self) -> dict[bytes, Noted | None]:
        """What a worker that starts reads of the quarantine topic."""
        held = {key: msgspec.json.decode(value, type=Entry) for key, value in self.quarantine.items() if value}
        mine = {key: e for key, e in held.items() if e.epoch == self.identity.log_epoch}
        return {key: Noted(e.offset, e.reason, bytes(e.before)) for key, e in mine.items()}

    @property
    def swept(self) -> dict[str, int]:
        """And of the topic of applied sources."""
        epoch, tables = self.noted_sweeps
        return tables if epoch == self.identity.log_epoch else {}

    def _read_anew(self) -> None:
        """What an operator does whom a worker tells to."""
        self.must_read_anew, epoch = False, self.identity.log_epoch + 10
        begun = self.history.read_anew(self._shown, epoch)
        self.identity = Identity("small", epoch, epoch + 5, DIGEST, begun)
        self.say(f"onhand apply --snapshot: epoch {epoch} begins at {begun}")

    # -- Redis

    def execute(self, command: list[bytes]) -> bytes:
        reply = self.server.answer(command)
        if command[0] in (b"FCALL", b"HSET", b"DEL"):
            self.say(f"{command[0].decode()} -> {reply[:40]!r} {self.server.data.get('stock:meta', {}).get('v')}")
            try:
                self.reader.look()
            except Lie as e:
                self.broken(e)
            if self.rng.random() < 0.2:
                self._kept.append((self.server.copy(), frozenset(self.reader.wounds)))
        return reply

    # -- faults

    def broken(self, e: BaseException) -> None:
        """What must never be."""
        if self.failure is None:
            self.failure = e
            self.say(f"BROKEN: {type(e).__name__}: {e}")

    def step(self, process: Process, what: str) -> None:
        """An effect begins or ended: the place where faults come."""
        self.steps += 1
        while self._waiting and self._waiting[0].step <= self.steps:
            fault = self._waiting.pop(0)
            self.say(f"fault: {fault.kind} ({fault.seconds} s), worker {process.number} {what}")
            self._strike(fault, process)

    def due(self, kind: str) -> bool:
        """True once after such a fault came."""
        if kind in self._due:
            self._due.remove(kind)
            return True
        return False

    def _strike(self, fault: Fault, process: Process) -> None:
        match fault.kind:
            case "kill":
                process.die("killed")
            case "freeze":
                process.freeze(fault.seconds)
                if self.rng.random() < 0.7:
                    self.start_worker()
            case "another worker":
                self.start_worker()
            case "rebalance":
                self._assign(self.rng.choice([p for p in self.processes if p.alive] or [None]))
            case "torn" | "reply lost" | "commit lost":
                self._due.append(fault.kind)
            case _:
                self._strike_redis(fault)

    def _strike_redis(self, fault: Fault) -> None:
        match fault.kind:
            case "redis emptied":
                self._lose([{}, {}])
                if self.rng.random() < 0.5:
                    self.server.functions.clear()
            case "redis put back":
                if self._kept:
                    self._lose(*self.rng.choice(self._kept))
            case "redis away":
                self.redis_away = True
                self.loop.call_later(fault.seconds, self._back)
            case "redis read only":
                self.server.read_only = True
                self.loop.call_later(fault.seconds, self._writable)
            case "foreign hand":
                self._meddle()
                return
        for socket in self.sockets:
            socket.reset()
        self.sockets.clear()

    def _lose(self, kept: Any, wounds: frozenset[str] = frozenset()) -> None:
        self.reader.forget()
        self.reader.wounds |= wounds
        self.server.restore(kept)

    def _meddle(self) -> None:
        """A level's key is lost or written by others; now and then `verify --repair` names it before the scrub does."""
        keys = sorted(k for k in self.server.data if k.startswith("stock:{"))
        if not keys:
            return
        key = self.rng.choice(keys)
        self.reader.wound(key)
        match self.rng.randint(0, 2):
            case 0:
                self.server._del(key)
            case 1:
                self.server._hset(key, "on_hand", "4711.00")
            case _:
                self.server._hdel(key, "on_hand", "v")
        if self.rng.random() < 0.3:
            self.server.data.setdefault("stock:suspects", set()).add(key)

    def _back(self) -> None:
        self.redis_away = False

    def _writable(self) -> None:
        self.server.read_only = False

    # -- the course of it

    async def run(self) -> None:
        """Faults while the log grows; then none, and all must come right; then another worker finds it right."""
        await asyncio.sleep(self.rng.choice((0.0, 0.0, 1.0, 10.0)))
        self.start_worker()
        left = 80  # ticks, once the log is all there
        while self.failure is None and left and not (self.all_shown() and self.owner and self.owner.done()):
            await self._tick()
            left -= self.all_shown()
        self._heal()
        await self._come_right()
        if len(self.processes) > 1 and any(f.kind == "freeze" for f in self.plan.faults):
            # a worker that was frozen may have told an alert that ended since: the next one takes it back
            for process in self.processes:
                process.die("stopped")
            await self._come_right()

    async def _tick(self) -> None:
        await asyncio.sleep(0.25)
        self._lead()
        if self.must_read_anew:
            self._read_anew()
        if not any(p.alive and not p.frozen for p in self.processes) and self.rng.random() < 0.3:
            self.start_worker()

    def _heal(self) -> None:
        self.say("no more faults")
        self._waiting.clear()
        self._due.clear()
        self._back()
        self._writable()
        for process in self.processes:
            process.thaw()

    async def _come_right(self) -> None:
        """While heartbeats come, as they always do."""
        until = self.loop.time() + PATIENCE
        for _ in range(2):
            self._beat()
            beat = self.loop.time()
            while self.failure is None and not self._right():
                await self._tick()
                if self.loop.time() > beat + HEARTBEAT:
                    self._beat()
                    beat = self.loop.time()
                if self.loop.time() > until:
                    self.broken(Lie(f"nothing comes right: refused {self.refused[-1:]}, wounds {self.reader.wounds}"))

    def _right(self) -> bool:
        done = self.owner is not None and self.owner.done()
        return self.all_shown() and done and not self.reader.hurts()

    def _beat(self) -> None:
        self.history.log.now = max(self.history.log.now, int(self.loop.time() * 1000) + self._weeks * WEEK_MS)
        self.history.heartbeat()

    def close(self) -> None:
        """Let go of everything: the dead wait for what never comes."""
        for process in self.processes:
            process.alive = False
            process.thaw()
        for _ in range(3):
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        for process in self.processes:
            engines.give_back(process.engine)
        self.loop.close()


def quiet() -> None:
    """What workers say to their operators is of no use here, and small calls make whole cuts cheap to tear."""
    stamina.instrumentation.set_on_retry_hooks([])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    projection.ATOMIC, projection.CHUNK = 12, 5
    rules.parse_condition = conditions.parse
    # a worker freezes what it remembers for the rest of its process: here that would keep every world for ever
    publish.gc = SimpleNamespace(collect=lambda: 0, freeze=lambda: None)  # type: ignore[assignment]
    scrub.time = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())  # type: ignore[assignment]


def simulate(plan: Plan) -> World:
    """Run one to its end; `failure` says what was wrong."""
    random.seed(plan.seed)  # stamina's jitter
    world = World(plan)
    asyncio.set_event_loop(world.loop)
    world.loop.set_exception_handler(lambda *_: None)  # of tasks of the dead; those of the living are asked for theirs
    try:
        world.loop.run_until_complete(world.run())
        if world.failure is None:
            check(world)
    except Lie as e:
        world.broken(e)
    finally:
        world.close()
    return world
