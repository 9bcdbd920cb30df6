"""From replay to live: what reads the log decides what readers see, and when."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from pipeline.adapters.quarantine import Entry, Noted
from pipeline.adapters.redis import ATOMIC, Cut, Fenced, Gap, version
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.domain.documents import Document
from pipeline.domain.errors import RefusedError
from pipeline.query.rows import Store
from pipeline.rules import RuleText
from streams.holes import HISTORY_MS
from streams.ledger import Ledger
from streams.ports import Identity
from streams.publish import Publisher
from tests.streams.erp import DIGEST, LOG_EPOCH, Log, Op, Served, item, new_fold, place, position, quant

EPOCH = LOG_EPOCH + 5
ME = Identity("small", LOG_EPOCH, EPOCH, DIGEST)
RIM = "stock:{A}:W1"
FIRST = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5), quant(2, 2, 1, 8)]


@dataclass
class Memory:
    """A projection that keeps the rules of put_if_newer.lua in memory."""

    meta_: dict[str, str] = field(default_factory=dict)
    served: Served = field(default_factory=dict)
    alerts_: dict[str, Alert] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    rebuilds: list[Cut] = field(default_factory=list)

    async def start(self) -> None:
        """Nothing to load."""

    async def meta(self) -> dict[str, str]:
        return dict(self.meta_)

    async def alerts(self) -> dict[str, str]:
        return {name: msgspec.json.encode(alert.to_dict()).decode() for name, alert in self.alerts_.items()}

    async def state(self, state: str) -> None:
        self.meta_["state"] = state
        self.states.append(state)

    async def publish(self, cuts: list[Cut]) -> None:
        for cut in cuts:
            held = self.meta_.get("v", "")
            if held > cut.v:
                raise Fenced
            if cut.prev is not None and held not in (cut.prev, cut.v):
                raise Gap
            self._show(cut, cut.documents)
            self.cuts.append(cut)
            for a in cut.alerts:
                self.alerts_.pop(a.id, None)
                if a.is_open:
                    self.alerts_[a.id] = a

    async def rebuild(self, cut: Cut, documents: Iterable[Document], open_alerts: Iterable[Alert]) -> int:
        if self.meta_.get("v", "") > cut.v:
            raise Fenced
        self.served.clear()
        self.alerts_ = {a.id: a for a in open_alerts}
        self._show(cut, list(documents))
        self.rebuilds.append(replace(cut, alerts=list(self.alerts_.values())))
        return len(self.served)

    def _show(self, cut: Cut, documents: list[Document]) -> None:
        for d in documents:
            self.served.pop(d.key, None)
            if d.fields:
                self.served[d.key] = dict(zip(d.fields[::2], d.fields[1::2], strict=True))
        self.meta_ = dict(cut.meta)


@dataclass
class Topic:
    """An alerts topic in memory: what it holds open, and what was told."""

    held: dict[str, Alert] = field(default_factory=dict)
    told: list[Alert] = field(default_factory=list)

    async def open(self) -> dict[str, Alert]:
        return dict(self.held)

    async def tell(self, events: list[Alert]) -> None:
        self.told += events
        for a in events:
            self.held[a.id] = a
            if not a.is_open:
                self.held.pop(a.id, None)


@dataclass
class Notes:
    """What workers noted beside the log."""

    swept: dict[str, int] = field(default_factory=dict)
    aside: dict[bytes, Entry] = field(default_factory=dict)
    told: int = 0

    async def quarantine(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        self.told += len(records)
        for key, value in records:
            self.aside.pop(key, None)
            if value is not None:
                self.aside[key] = msgspec.json.decode(value, type=Entry)

    @property
    def noted(self) -> dict[bytes, Noted]:
        return {key: Noted(e.offset, e.reason, bytes(e.before)) for key, e in self.aside.items()}

    async def sweep(self, tables: Mapping[str, int]) -> None:
        self.swept = dict(tables)


@dataclass
class Worker:
    """A worker's run over a log: `take` feeds it whatever the log has by now."""

    log: Log
    redis: Memory = field(default_factory=Memory)
    alerts: Topic = field(default_factory=Topic)
    identity: Identity = ME
    clock: float = 10.0
    committed: str = ""
    store: Store | None = None
    notes: Notes = field(default_factory=Notes)
    rules: Sequence[RuleText] | None = None

    def __post_init__(self) -> None:
        end = self.log.records[-1].offset + 1 if self.log.records else 0
        self.ledger = Ledger(replay_until=end, committed_metadata=self.committed)
        self.fold = new_fold(self.store, self.notes.swept, self.notes.noted, rules=self.rules)
        self.publisher = Publisher(
            self.identity, self.fold, self.redis, ledger=self.ledger, alerts=self.alerts, notes=self.notes,
            now=lambda: self.clock,
        )  # fmt: skip

    def take(self, *, batch: int = 10_000) -> "Worker":
        async def feed() -> None:
            while rest := [r for r in self.log.records if r.offset > self.ledger.folded]:
                await self.publisher.take(rest[:batch])
            await self.publisher.settled()

        asyncio.run(feed())
        return self

    def fetch_again(self) -> None:
        """The log's first records come once more."""
        asyncio.run(self.publisher.take(self.log.records[:3]))

    def again(self, **changes: Any) -> "Worker":
        """The next process on the same log, Redis and alerts topic."""
        return Worker(
            self.log, self.redis, self.alerts, clock=self.clock, **{"notes": self.notes, "rules": self.rules} | changes
        )


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, FIRST)
    return log


def v(log: Log) -> str:
    return version(EPOCH, log.records[-1].offset)


def test_a_replay_is_silent_and_ends_with_one_projection(log: Log) -> None:
    for n in range(2, 9):
        log.transaction(n, [quant(1, 1, 1, n, n + 1)])
    worker = Worker(log)
    end = len(log.records)
    for record in log.records[:-1]:
        asyncio.run(worker.publisher.take([record]))
        assert not worker.publisher.live
        assert (worker.redis.states, worker.redis.served, worker.alerts.told) == (["replaying"], {}, [])
        assert worker.ledger.published is None
    worker.take()
    assert worker.publisher.live
    assert (len(worker.redis.rebuilds), worker.redis.cuts) == (1, [])
    assert worker.redis.served[RIM]["on_hand"] == "8.00"
    assert worker.redis.meta_["v"] == v(log)
    assert worker.redis.meta_["state"] == "live"
    assert [a.state for a in worker.alerts.told] == ["open"]
    assert (worker.ledger.published, worker.ledger.metadata) == (end, f"{v(log)} {worker.fold.place.position}")


def test_live_cuts_follow_one_on_the_other(log: Log) -> None:
    worker = Worker(log).take()
    before = v(log)
    for n in (2, 3):
        log.transaction(n, [quant(1, 1, 1, n)])
        worker.take()
        assert (worker.redis.cuts[-1].prev, worker.redis.cuts[-1].v) == (before, v(log))
        before = v(log)
    assert [d.key for d in worker.redis.cuts[-1].documents] == ["stock:{A}:W1:location=x", RIM, "stock:{A}"]
    assert worker.ledger.published == len(log.records)


def test_an_open_transaction_is_not_published(log: Log) -> None:
    worker = Worker(log).take()
    log.begin(2)
    log.change(2, quant(1, 1, 1, 99))
    worker.take()
    assert worker.redis.cuts == []
    assert worker.redis.served[RIM]["on_hand"] == "5.00"
    assert worker.ledger.published == len(log.records) - 2


def test_records_fetched_again_count_once(log: Log) -> None:
    worker = Worker(log).take()
    log.transaction(2, [quant(1, 1, 1, 6)])
    worker.take()
    asyncio.run(worker.publisher.take(log.records[2:]))
    assert len(worker.redis.cuts) == 1


def test_a_restart_goes_on_from_what_redis_holds(log: Log) -> None:
    first = Worker(log).take()
    held = v(log)
    log.transaction(2, [quant(2, 2, 1, 3)])
    log.transaction(3, [quant(2, 2, 1, 4)])
    worker = first.again(committed=first.ledger.metadata).take()
    assert len(worker.redis.rebuilds) == 1, "the first worker's"
    (cut,) = worker.redis.cuts
    assert (cut.prev, cut.v) == (held, v(log))
    assert [d.key for d in cut.documents] == ["stock:{B}:W1:location=x", "stock:{B}:W1", "stock:{B}"]


def test_a_restart_without_news_writes_nothing(log: Log) -> None:
    first = Worker(log).take()
    worker = first.again(committed=first.ledger.metadata).take()
    assert (len(worker.redis.rebuilds), worker.redis.cuts, worker.redis.states) == (1, [], ["replaying"])
    log.transaction(2, [quant(1, 1, 1, 6)])
    assert [d.key for d in worker.take().redis.cuts[-1].documents][1:] == [RIM, "stock:{A}"]


@pytest.mark.parametrize(
    ("held", "hours"),
    [
        ({"digest": "other"}, 0),
        ({"epoch": str(EPOCH - 1)}, 0),
        ({}, HISTORY_MS / 3_600_000 + 1),
        ({"state": "rebuilding"}, 0),
    ],
    ids=["another mapping", "another epoch", "older than the history window", "a rebuild that was cut off"],
)
def test_what_redis_holds_is_of_no_use(log: Log, held: dict[str, str], hours: float) -> None:
    first = Worker(log).take()
    first.redis.meta_ |= held
    first.clock += hours * 3600
    log.transaction(2, [quant(1, 1, 1, 6)])
    worker = first.again().take()
    assert [cut.v for cut in worker.redis.rebuilds][1:] == [v(log)]
    assert worker.redis.cuts == []
    assert worker.redis.served[RIM]["on_hand"] == "6.00"


def test_an_emptied_redis_is_projected_anew_with_the_open_alerts(log: Log) -> None:
    worker = Worker(log).take()
    log.transaction(2, [quant(1, 1, 1, 6, 9)])
    worker.take()
    worker.redis.meta_, worker.redis.served = {}, {}
    log.transaction(3, [quant(2, 2, 1, 1)])
    worker.take()
    assert [cut.v for cut in worker.redis.rebuilds][1:] == [v(log)]
    assert [a.stem for a in worker.redis.rebuilds[-1].alerts] == ["negative_available/A/W1"]
    assert (worker.redis.served[RIM]["on_hand"], worker.redis.served["stock:{B}"]["on_hand"]) == ("6.00", "1.00")
    log.transaction(4, [quant(2, 2, 1, 2)])
    assert worker.take().redis.cuts[-1].v == v(log)


def test_another_worker_stops_us_before_anything_is_committed(log: Log) -> None:
    worker = Worker(log).take()
    published = worker.ledger.published
    worker.redis.meta_["v"] = version(EPOCH, 10**6)
    log.transaction(2, [quant(1, 1, 1, 6, 9)])
    with pytest.raises(RefusedError, match="another worker serves this source"):
        worker.take()
    assert (worker.ledger.published, worker.alerts.told) == (published, [])


def many(n: int, first: int = 10, quantity: int = 1) -> list[Op]:
    """`n` rows, each of an item of its own: three documents a row."""
    return [op for i in range(first, first + n) for op in (item(i, f"I{i}"), quant(i, i, 1, quantity))]


def test_readers_never_see_less_than_they_saw(log: Log) -> None:
    """Redis was emptied and the log lost its end: the source's older transactions come again, to other offsets."""
    seen = f"{version(EPOCH, 10**6)} {Position(position(5))}"
    worker = Worker(log, committed=seen).take()
    for n in (2, 3, 4):
        log.transaction(n, many(300, first=10 + 300 * n))
    worker.take()
    assert (worker.redis.cuts, worker.redis.rebuilds, worker.ledger.published) == ([], [], None)
    log.transaction(5, [quant(1, 1, 1, 9)])
    worker.take()
    assert ([cut.v for cut in worker.redis.rebuilds], worker.redis.cuts) == ([v(log)], [])
    assert worker.redis.served[RIM]["on_hand"] == "9.00"


def test_below_the_floor_nothing_is_cut_out_of_a_batch_that_rises_above_it(log: Log) -> None:
    first = Worker(log).take()
    first.redis.meta_["position"] = str(Position(position(5)))
    worker = first.again().take()
    for n in (2, 3, 4):
        log.transaction(n, many(300, first=10 + 300 * n))
    log.transaction(5, [quant(1, 1, 1, 9)])
    worker.take()
    assert [cut.meta["position"] for cut in worker.redis.cuts] == [str(worker.fold.place.position)]


def test_a_commit_of_an_older_epoch_is_no_floor(log: Log) -> None:
    worker = Worker(log, committed=f"{version(EPOCH - 1, 10**6)} 0/FFFF").take()
    assert worker.redis.served[RIM]["on_hand"] == "5.00"


def test_a_log_that_was_begun_anew_is_refused() -> None:
    log = Log().begun(epoch=LOG_EPOCH + 1)
    log.transaction(1, FIRST)
    worker = Worker(log)
    with pytest.raises(RefusedError, match="its epoch differs") as refused:
        worker.take()
    assert refused.value.fix.startswith("onhand apply --snapshot small")
    assert (worker.redis.served, worker.ledger.published) == ({}, None)


def test_a_mapping_applied_while_we_run_ends_us(log: Log) -> None:
    worker = Worker(log).take()
    log.control("mapping", applied_at=EPOCH + 1)
    log.transaction(2, [quant(1, 1, 1, 6)])
    with pytest.raises(RefusedError, match="applied again with another mapping") as refused:
        worker.take()
    assert refused.value.fix == "start the worker again"
    assert worker.redis.served[RIM]["on_hand"] == "5.00"


def test_a_batch_of_many_transactions_is_cut_between_them(log: Log) -> None:
    worker = Worker(log).take()
    before = v(log)
    sizes = [5, 60, 1, 150, 30, 30, 90, 2, 2, 160, 40]
    for n, size in enumerate(sizes, 2):
        log.transaction(n, many(size, quantity=n))
    ends = {version(EPOCH, r.offset) for r in log.records if r.shows}
    worker.take()
    assert len(worker.redis.cuts) > 1
    for cut in worker.redis.cuts:
        assert cut.prev == before
        assert cut.v in ends
        assert len(cut.documents) <= ATOMIC
        before = cut.v
    assert before == v(log)
    assert worker.redis.served == Worker(log).take().redis.served


def test_a_transaction_larger_than_a_call_stands_alone(log: Log) -> None:
    worker = Worker(log).take()
    for n, size in ((2, 3), (3, 700), (4, 3)):
        log.transaction(n, many(size, quantity=n))
    worker.take()
    ends = [version(EPOCH, r.offset) for r in log.records if r.shows][1:]
    assert [cut.v for cut in worker.redis.cuts] == ends
    assert [len(cut.documents) > ATOMIC for cut in worker.redis.cuts] == [False, True, False]


def test_a_source_without_rows_yet_says_that_it_waits_and_its_first_snapshot_ends_what_stood_there() -> None:
    log = Log().begun()
    redis = Memory(served={"stock:{GHOST}": {"on_hand": "1"}})
    worker = Worker(log, redis).take()
    assert (redis.states, worker.publisher.live) == (["replaying", "snapshot"], True)
    for n, size in ((1, 300), (2, 300)):
        log.transaction(n, [place(1, "x", "W1"), *many(size, quantity=n)])
    worker.take()
    assert ([cut.v for cut in redis.rebuilds], redis.cuts) == ([v(log)], [])
    assert "stock:{GHOST}" not in redis.served
    assert redis.served["stock:{I10}"]["on_hand"] == "2.00"


def test_alerts_are_told_once_over_restarts(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 5, 9)])
    first = Worker(log).take()
    log.transaction(3, [quant(2, 2, 1, 1, 9)])
    second = first.again().take()
    assert [a.facts["item"] for a in second.alerts.told] == ["A", "B"]
    log.transaction(4, [quant(1, 1, 1, 9, 9)])
    third = second.again().take()
    assert [(a.facts["item"], a.state) for a in third.alerts.told[2:]] == [("A", "resolved")]
    log.transaction(5, [quant(3, 1, 1, 1)])
    assert len(third.again().take().alerts.told) == 3


def test_readers_are_told_what_the_watchdog_finds(log: Log) -> None:
    worker = Worker(log)
    asyncio.run(worker.publisher.doubt("degraded"))
    assert worker.redis.states == []  # nothing is shown yet
    worker.take()
    assert worker.redis.meta_["state"] == "degraded"
    asyncio.run(worker.publisher.doubt("stale"))
    assert worker.redis.meta_["state"] == "stale"
    log.transaction(2, [quant(1, 1, 1, 6)])
    worker.take()
    assert worker.redis.cuts[-1].meta["state"] == "stale"
    asyncio.run(worker.publisher.doubt(""))
    assert worker.redis.meta_["state"] == "live"


def test_an_alert_that_only_redis_was_told_of_ends_there_too(log: Log) -> None:
    """A worker died between Redis and the alerts topic, and the alert ended before the next one was live."""
    log.transaction(2, [quant(1, 1, 1, 5, 9)])
    first = Worker(log).take()
    first.alerts.held.clear()
    log.transaction(3, [quant(1, 1, 1, 9, 9)])
    second = first.again().take()
    assert second.redis.alerts_ == {}
    assert [(a.facts["item"], a.state) for a in second.alerts.told[1:]] == [("A", "resolved")]


@pytest.mark.parametrize(
    "meta", [{"state": "applying"}, {"state": "rebuilding"}, {"state": "snapshot", "chunk": "8 1"}]
)
def test_what_a_dying_worker_wrote_in_part_is_projected_anew(log: Log, meta: dict[str, str]) -> None:
    """A key that was new in its cut and is gone by now would be known to nobody else; another may say a state since."""
    first = Worker(log).take()
    first.redis.meta_.update(meta)
    first.redis.served["stock:{GHOST}"] = {"on_hand": "1"}
    log.transaction(2, [quant(1, 1, 1, 6)])
    worker = first.again().take()
    assert [cut.v for cut in worker.redis.rebuilds][1:] == [v(log)]
    assert "stock:{GHOST}" not in worker.redis.served
