"""Posted movements as events: each once in Redis, at least once in the topic, none from a snapshot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from infra.stack.redis import Redis as Server
from pipeline.adapters.debezium import LogReader
from pipeline.adapters.redis import Cut
from pipeline.domain.levels import stock_levels
from pipeline.domain.movements import Movement, movement_book
from pipeline.query import MappingText, compile_source
from streams.feeds import Feeds
from streams.fold import StockFold
from streams.movement_feed import MovementFeed
from streams.publish import Publisher
from tests.query.schemas import catalog_of
from tests.streams.erp import DDL, LOG_EPOCH, PREFIX, SERVER, SQL, Log, Op, item, place, quant, states
from tests.streams.test_publish import Topic, Worker
from tests.streams.test_scrub import Site

MOVEMENTS = """SELECT 'note' AS doc_type, b.no AS doc_no, b.id AS line_id, b.item_id, i.code AS item,
                      b.warehouse, b.kind, b.posted, b.quantity AS qty
               FROM booking b LEFT JOIN item i ON i.id = b.item_id"""
CATALOG = catalog_of(
    f"""{DDL}; CREATE TABLE booking (id int PRIMARY KEY, no text, item_id int, warehouse text, kind text,
        posted boolean, quantity numeric(18,2))""",
    "postgres",
)


def booking(pk: int, quantity: str, *, posted: bool = True, item_id: int = 1, no: str = "N-1") -> Op:
    row = {"id": pk, "no": no, "item_id": item_id, "warehouse": "W1", "kind": "issue", "posted": posted}
    return Op("booking", pk, row | {"quantity": quantity})


def new_fold(prefix: str = PREFIX) -> StockFold:
    texts = [MappingText("stock", SQL, "stock.sql"), MappingText("movements", MOVEMENTS, "movements.sql")]
    engine = compile_source(texts, CATALOG, {})
    levels, reader = stock_levels(prefix, engine.views["stock"], "stock"), LogReader(SERVER, engine.tables)
    return StockFold(engine, levels, reader, movements=movement_book(engine.views["movements"], levels))


@dataclass
class Events:
    told: list[dict[str, Any]] = field(default_factory=list)
    dies: bool = False

    async def tell(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        if self.dies:
            raise ConnectionError
        self.told += [msgspec.json.decode(value or b"") for _, value in records]


@dataclass
class MovementWorker(Worker):
    events: Events = field(default_factory=Events)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fold = new_fold()
        feeds = Feeds(movements=MovementFeed(self.fold.movements, self.events))
        self.publisher = Publisher(
            self.identity, self.fold, self.redis, ledger=self.ledger, alerts=self.alerts, notes=self.notes,
            feeds=feeds, now=lambda: self.clock,
        )  # fmt: skip

    def again(self, **changes: Any) -> "MovementWorker":
        given = {"committed": self.ledger.metadata} | changes
        return MovementWorker(self.log, self.redis, Topic(), events=self.events, notes=self.notes, **given)


FIRST = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5)]


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, FIRST)
    return log


def said(events: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(e["event"], e["line"], e["qty"]) for e in events]


def test_an_event_is_of_one_cut_with_its_stock(log: Log) -> None:
    worker = MovementWorker(log).take()
    log.transaction(2, [booking(2, "-2.00"), quant(1, 1, 1, 3)])
    [cut] = worker.take().redis.cuts
    [event] = cut.movements
    assert dict(event.fields) == worker.events.told[0] == {
        "id": f"{LOG_EPOCH:010d}.{log.records[-1].offset:016d}.000000", "event": "posted", "doc_type": "note",
        "doc_no": "N-1", "line": "2", "item": "A", "item_id": "1", "warehouse": "W1", "kind": "issue", "qty": "-2.00",
        "on_hand_before": "5.00", "on_hand_after": "3.00", "position": "0/C8", "committed": "1970-01-01T00:00:02.000Z",
    }  # fmt: skip
    assert event.row == "note/2"


def test_what_is_unposted_moved_or_renamed(log: Log) -> None:
    worker = MovementWorker(log).take()
    log.transaction(2, [booking(2, "-2.00", posted=False)])
    log.transaction(3, [booking(2, "-2.00")])
    log.transaction(4, [item(1, "A-new")])
    log.transaction(5, [booking(2, "-3.00")])
    log.transaction(6, [Op("booking", 2, None)])
    log.transaction(6, [Op("booking", 2, None)])  # a killed Connect
    assert said(worker.take().events.told) == [
        ("posted", "2", "-2.00"), ("reversed", "2", "2.00"), ("posted", "2", "-3.00"), ("reversed", "2", "3.00"),
    ]  # fmt: skip


def test_a_replay_makes_no_event_twice(log: Log) -> None:
    worker = MovementWorker(log).take()
    log.transaction(2, [booking(2, "-2.00")])
    worker.take()
    after = worker.again().take()
    log.transaction(3, [booking(3, "-3.00")])
    assert said(after.take().events.told) == [("posted", "2", "-2.00"), ("posted", "3", "-3.00")]


def test_what_a_worker_that_died_had_not_told_is_told_with_the_same_id(log: Log) -> None:
    worker = MovementWorker(log).take()
    log.transaction(2, [booking(2, "-2.00")])
    worker.events.dies = True
    with pytest.raises(ConnectionError):
        worker.take()
    [sent] = worker.redis.cuts[-1].movements
    worker.events.dies = False
    after = worker.again().take()
    log.transaction(3, [])
    after.take()
    assert [e["id"] for e in after.events.told] == [sent.id]
    assert [m.id for m in after.redis.cuts[-1].movements] == [sent.id], "Redis leaves out what it has"


def test_a_worker_that_died_before_its_first_commit_loses_nothing(log: Log) -> None:
    log.transaction(2, [booking(2, "-2.00")])
    told = MovementWorker(log).take().events.told
    after = MovementWorker(log).again(committed="")
    log.transaction(3, [booking(3, "-3.00")])
    assert said(after.take().events.told) == [*said(told), ("posted", "3", "-3.00")]


def test_rows_read_again_for_another_mapping_are_no_events(log: Log) -> None:
    log.transaction(2, [booking(2, "-2.00")])
    log.control("mapping", applied_at=LOG_EPOCH + 5)
    log.transaction(3, [booking(3, "-3.00")])
    worker = MovementWorker(log)
    worker.fold.since = {"public.booking": 4}
    assert said(worker.take().events.told) == [("posted", "3", "-3.00")]


def test_what_happened_while_no_worker_ran_is_told(log: Log) -> None:
    worker = MovementWorker(log).take()
    log.transaction(2, [booking(2, "-2.00")])
    log.transaction(3, [booking(3, "-3.00")])
    after = worker.again().take()
    assert said(after.events.told) == [("posted", "2", "-2.00"), ("posted", "3", "-3.00")]
    other = worker.again(identity=after.identity.__class__("small", LOG_EPOCH, after.identity.epoch + 9, "d2"))
    assert [e["id"] for e in other.take().events.told[2:]] == [e["id"] for e in after.events.told[:2]], (
        "another mapping"
    )


def test_a_snapshot_raises_no_event(log: Log) -> None:
    worker = MovementWorker(log).take()
    state = states([FIRST])[-1]
    log.snapshot(2, state)
    log.transaction(3, [booking(4, "-4.00")])
    assert said(worker.take().events.told) == [("posted", "4", "-4.00")]


@pytest.fixture
def site(redis_server: Server) -> Iterator[Site]:
    site = Site(redis_server.url, fold=new_fold, feeds=lambda fold: Feeds(movements=MovementFeed(fold.movements)))
    site.book(*FIRST)
    yield site
    site.close()


def stream(site: Site) -> list[tuple[str, str, str]]:
    return said([fields for _, fields in site.redis.xrange(site.key("movements"))])


def test_redis_has_each_event_once(site: Site) -> None:
    site.book(booking(2, "-2.00"), booking(3, "-3.00", item_id=2))
    assert stream(site) == [("posted", "2", "-2.00"), ("posted", "3", "-3.00")]
    events = [fields for _, fields in site.redis.xrange(site.key("movements"))]
    meta = site.redis.hgetall(site.key("meta"))
    known = [Movement(e["id"], "", e) for e in events]
    newer = Movement(events[-1]["id"][:-1] + "7", "", events[-1] | {"id": events[-1]["id"][:-1] + "7", "line": "9"})
    again = Cut(meta["v"], meta["v"], [], meta, movements=[*known, newer])
    site.runner.run(site.projection.publish([again]))
    assert [line for _, line, _ in stream(site)] == ["2", "3", "9"]


def test_the_stream_survives_a_projection_anew_and_a_foreign_hand(site: Site) -> None:
    site.book(booking(2, "-2.00"))
    site.redis.delete(site.key("meta"))
    site.book(booking(3, "-3.00"))
    assert stream(site) == [("posted", "2", "-2.00"), ("posted", "3", "-3.00")]
    site.redis.xadd(
        site.key("movements"), {"id": "9999999999.9999999999999999.000000", "event": "", "line": "", "qty": ""}
    )
    site.book(booking(4, "-4.00"))
    assert stream(site)[-1] == ("posted", "4", "-4.00")
    site.redis.delete(site.key("movements"))
    site.redis.set(site.key("movements"), "x")
    site.book(booking(5, "-5.00"))
    assert stream(site) == [("posted", "5", "-5.00")]
