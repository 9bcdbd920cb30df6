"""Orders beside stock: of one cut with it, the same after every replay, and told to their topic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.stack.redis import Redis as Server
from pipeline.adapters.debezium import LogReader
from pipeline.domain.documents import Document
from pipeline.domain.levels import stock_levels
from pipeline.domain.orders import expected_orders, order_book
from pipeline.query import Engine, MappingText, compile_source
from streams.feeds import Feeds
from streams.fold import StockFold
from streams.order_feed import OrderFeed
from streams.publish import Publisher
from streams.quarantine import Quarantine
from tests.query.schemas import catalog_of
from tests.streams.erp import DAY, DDL, LOG_EPOCH, PREFIX, SERVER, SQL, Log, Op, Served, item, place, quant
from tests.streams.test_publish import EPOCH, Topic, Worker
from tests.streams.test_scrub import Site

ORDERS = """SELECT d.order_no, d.line, d.item_id, i.code AS item, d.warehouse, d.status, d.due,
                   d.required AS required, d.issued AS issued
            FROM demand d LEFT JOIN item i ON i.id = d.item_id"""
CATALOG = catalog_of(
    f"""{DDL}; CREATE TABLE demand (id int PRIMARY KEY, order_no text, line int, item_id int, warehouse text,
        status text, due date, required numeric(18,2), issued numeric(18,2))""",
    "postgres",
)


def compiled() -> Engine:
    return compile_source([MappingText("stock", SQL, "stock.sql"), MappingText("orders", ORDERS, "o.sql")], CATALOG, {})


def demand(
    pk: int, order: str, line: int, item_id: int, required: str, issued: str = "0.00", *, warehouse: str | None = "W1",
    status: str = "released", due: str | None = "2026-12-01",
) -> Op:  # fmt: skip
    row = {
        "id": pk, "order_no": order, "line": line, "item_id": item_id, "warehouse": warehouse, "status": status,
        "due": due, "required": required, "issued": issued,
    }  # fmt: skip
    return Op("demand", pk, row)


def new_fold(prefix: str = PREFIX, noted: Mapping[bytes, Any] | None = None) -> StockFold:
    engine = compiled()
    levels, reader = stock_levels(prefix, engine.views["stock"], "none"), LogReader(SERVER, engine.tables)
    book = order_book(prefix, engine.views["orders"], levels)
    return StockFold(engine, levels, reader, quarantine=Quarantine(engine, reader, noted or {}, LOG_EPOCH), orders=book)


_TRUTH = compiled()
_TRUTH.set_today(DAY)


def truth(rows: Mapping[tuple[str, int], Any]) -> Served:
    """What must be served of orders for these rows: computed at once, from nothing."""
    for name, table in _TRUTH.tables.items():
        table.clear()
        for (of, _), row in rows.items():
            if name == f"public.{of}" and row is not None:
                table.upsert(table.row_type(**row))
    for view in _TRUTH.views.values():
        view.drain()
    stock, orders = _TRUTH.views["stock"], _TRUTH.views["orders"]
    return expected_orders(stock_levels(PREFIX, stock, "none"), orders, stock.groups(), orders.groups())


@dataclass
class OrdersTopic:
    held_: dict[bytes, bytes] = field(default_factory=dict)
    dies: bool = False

    async def held(self) -> Mapping[bytes, bytes]:
        return dict(self.held_)

    async def tell(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        if self.dies:
            raise ConnectionError
        for key, value in records:
            self.held_.pop(key, None)
            if value is not None:
                self.held_[key] = value

    @property
    def says(self) -> Served:
        """By Redis key, without versions."""
        said = {f"{PREFIX}:order:{key.decode()}": msgspec.json.decode(value) for key, value in self.held_.items()}
        return {key: {n: v for n, v in d.items() if n not in {"v", "changed"}} for key, d in said.items()}


@dataclass
class OrderWorker(Worker):
    topic: OrdersTopic = field(default_factory=OrdersTopic)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fold = new_fold(noted=self.notes.noted)
        self.publisher = Publisher(
            self.identity, self.fold, self.redis, ledger=self.ledger, alerts=self.alerts, notes=self.notes,
            feeds=Feeds(OrderFeed(self.fold.orders, self.topic, EPOCH)), now=lambda: self.clock,
        )  # fmt: skip

    def again(self, **changes: Any) -> "OrderWorker":
        return OrderWorker(
            self.log, self.redis, Topic(), topic=self.topic, notes=self.notes, committed=self.ledger.metadata, **changes
        )

    @property
    def served(self) -> Served:
        return {key: fields for key, fields in self.redis.served.items() if ":order:" in key}


FIRST = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5), quant(2, 2, 1, 8)]
A7 = "stock:order:A7"


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, [*FIRST, demand(1, "A7", 10, 1, "9.00"), demand(2, "A8", 10, 1, "1.00", due=None)])
    return log


def lines(served: Served, key: str) -> list[dict[str, str]]:
    return msgspec.json.decode(served[key]["lines"])


def test_order_and_stock_are_of_one_cut(log: Log) -> None:
    worker = OrderWorker(log).take()
    assert lines(worker.served, A7)[0] | {"short": "4.00", "open": "9.00"} == lines(worker.served, A7)[0]
    log.transaction(2, [demand(1, "A7", 10, 1, "9.00", "2.00"), quant(1, 1, 1, 3)])
    [cut] = worker.take().redis.cuts
    assert {d.key for d in cut.documents} >= {A7, "stock:{A}:W1"}
    assert {d.offset for d in cut.documents} == {log.records[-1].offset}
    assert "stock:order:A8" not in {d.key for d in cut.documents}, "it was short of all it needs, and is"


def test_a_change_of_stock_alone_changes_the_orders_that_wait_for_it(log: Log) -> None:
    worker = OrderWorker(log).take()
    log.transaction(2, [quant(3, 1, 1, 100)])
    assert lines(worker.take().served, A7)[0]["short"] == "0.00"
    assert worker.served["stock:order:A8"]["lines_short"] == "0"
    log.transaction(3, [quant(2, 2, 1, 1)])
    assert not any(d.order for d in worker.take().redis.cuts[-1].documents)


def test_the_topic_says_what_redis_holds(log: Log) -> None:
    worker = OrderWorker(log).take()
    assert worker.topic.says == {k: d | {"lines": lines(worker.served, k)} for k, d in worker.served.items()}
    log.transaction(2, [Op("demand", 1, None)])
    worker.take()
    assert worker.topic.says.keys() == worker.served.keys() == {"stock:order:A8"}
    assert worker.ledger.published == len(log.records)


def test_what_a_worker_that_died_had_not_told_is_told_by_the_next(log: Log) -> None:
    worker = OrderWorker(log).take()
    log.transaction(2, [demand(1, "A7", 10, 1, "9.00", "5.00"), Op("demand", 2, None)])
    worker.topic.dies = True
    with pytest.raises(ConnectionError):
        worker.take()
    assert (worker.redis.meta_["offset"], worker.ledger.published) == (str(log.records[-1].offset), 12)
    worker.topic.dies = False
    after = worker.again().take()
    log.transaction(3, [])
    after.take()
    assert after.topic.says == {k: d | {"lines": lines(after.served, k)} for k, d in after.served.items()}
    assert after.topic.says.keys() == {A7}


def test_orders_of_another_mapping_leave_the_topic_with_the_next_projection(log: Log) -> None:
    topic = OrdersTopic({b"gone": b"{}"})
    assert OrderWorker(log, topic=topic).take().topic.says.keys() == {A7, "stock:order:A8"}


def bad(op: Op, **columns: Any) -> Op:
    return Op(op.table, op.pk, op.row | columns)


def test_an_order_with_a_row_in_quarantine_is_degraded_and_its_stock_is_not(log: Log) -> None:
    worker = OrderWorker(log).take()
    log.transaction(2, [bad(demand(1, "A7", 10, 1, "9.00"), required="NaN")])
    worker.take()
    assert {key for key, d in worker.redis.served.items() if "degraded" in d} == {A7}
    assert worker.redis.meta_["state"] == "live"
    log.transaction(3, [bad(demand(1, "A7", 10, 1, "9.00"), due="soon")])
    worker.take()
    assert {key for key, d in worker.redis.served.items() if "degraded" in d} == {A7, "stock:order:A8"}, "which order?"
    assert worker.redis.meta_["state"] == "live"
    log.transaction(4, [demand(1, "A7", 10, 1, "9.00")])
    assert not any("degraded" in d for d in worker.take().redis.served.values())


def test_an_order_whose_only_row_cannot_be_read_is_served_all_the_same(log: Log) -> None:
    log.transaction(2, [bad(demand(3, "A9", 10, 2, "1.00"), issued="NaN")])
    worker = OrderWorker(log).take()
    assert "degraded" in worker.served["stock:order:A9"]
    log.transaction(3, [Op("demand", 3, None)])
    assert "stock:order:A9" not in worker.take().served


def test_what_is_short_of_degraded_stock_is_degraded(log: Log) -> None:
    worker = OrderWorker(log).take()
    log.transaction(2, [bad(quant(1, 1, 1, 5), quantity="NaN")])
    worker.take()
    assert {key for key in worker.served if "degraded" in worker.served[key]} == {A7, "stock:order:A8"}


quants = st.builds(quant, st.integers(1, 4), st.integers(1, 3), st.sampled_from([None, 1, 2]), st.integers(-3, 9))
demands = st.builds(
    demand, st.integers(1, 5), st.sampled_from(["A7", "A8"]), st.integers(1, 2), st.integers(1, 3),
    st.sampled_from(["0.00", "4.00", "7.50"]), st.sampled_from(["0.00", "1.00", "9.00"]),
    warehouse=st.sampled_from(["W1", "W2", None]), status=st.sampled_from(["released", "released", "closed"]),
    due=st.sampled_from([None, "2026-12-01", "2026-12-02"]),
)  # fmt: skip
items = st.builds(item, st.integers(1, 3), st.sampled_from([None, "A", "B", "B"]))
places = st.builds(place, st.integers(1, 2), st.just("x"), st.sampled_from([None, "W1", "W2"]))
gone = st.builds(Op, st.sampled_from(["quant", "demand", "demand", "item"]), st.integers(1, 5), st.none())
HISTORIES = st.lists(st.lists(quants | demands | demands | items | places | gone, min_size=1, max_size=4), max_size=9)


def follow(served: Served, documents: list[Document]) -> None:
    for d in documents:
        served.pop(d.key, None)
        if d.fields:
            served[d.key] = dict(zip(d.fields[::2], d.fields[1::2], strict=True))


def everything(fold: StockFold) -> dict[str, Any]:
    return {d.key: (d.offset, d.time_ms, d.fields) for d in fold.all_documents() if d.order}


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.data())
def test_every_cut_shows_the_orders_of_its_rows_and_a_replay_the_same(history: list[list[Op]], data: Any) -> None:
    log, rows, fold, served = Log().begun(), {}, new_fold(), Served()
    for n, ops in enumerate(history, 1):
        log.transaction(n, ops)
        if data.draw(st.booleans(), "written again"):
            log.transaction(n, ops)  # a killed Connect
        rows |= {(op.table, op.pk): op.row for op in ops}
        for record in log.records[0 if fold.place is None else fold.place.offset + 1 :]:
            fold.fold(record)
        follow(served, [d for d in fold.documents() if d.order])
        assert served == truth(rows)
    replayed = new_fold()
    for record in log.records:
        replayed.fold(record)
    assert everything(replayed) == everything(fold), "byte-equal, versions and times too"


@pytest.fixture
def site(redis_server: Server) -> Iterator[Site]:
    site = Site(redis_server.url, fold=new_fold)
    site.book(*FIRST, demand(1, "A7", 10, 1, "9.00"), demand(2, "A:8", 10, 1, "1.00"))
    site.book(quant(3, 2, 1, 1))
    yield site
    site.close()


def test_redis_holds_orders_beside_levels(site: Site) -> None:
    held = site.redis.hgetall(site.key("order:A7"))
    assert (held["order_no"], held["lines_short"], held["changed"]) == ("A7", "1", "1970-01-01T00:00:01.000Z")
    assert site.redis.hget(site.key("order:A%3A8"), "order_no") == "A:8"
    site.book(Op("demand", 1, None))
    gone = site.redis.hgetall(site.key("order:A7"))
    assert {n: v for n, v in gone.items() if n not in {"v", "changed"}} == {"deleted": "1"}
    assert site.redis.ttl(site.key("order:A7")) > 0
    assert site.redis.xrange(site.key("changes"), count=1)
    assert not any(":order:" in fields["key"] for _, fields in site.redis.xrange(site.key("changes")))


def test_the_scrub_mends_orders_and_ends_those_of_nobody(site: Site) -> None:
    before = site.everything()
    site.redis.hset(site.key("order:A7"), "status", "closed")
    site.redis.delete(site.key("order:A%3A8"))
    site.redis.hset(site.key("order:X"), mapping={"status": "released"})
    site.look(3)
    assert site.found() == {"changed": 1, "missing": 1, "ghost": 1}
    after = site.everything()
    ghost, _ = after.pop(site.key("order:X"))
    assert {n: v for n, v in ghost.items() if n not in {"v", "changed"}} == {"deleted": "1"}
    assert after == before


def test_a_projection_anew_ends_orders_that_are_no_more(site: Site) -> None:
    site.redis.hset(site.key("order:X"), mapping={"status": "released"})
    site.redis.delete(site.key("meta"))
    site.book(quant(3, 2, 1, 2))
    assert site.redis.hget(site.key("order:X"), "deleted") == "1"
    assert "on_hand" not in site.redis.hgetall(site.key("order:X"))
    assert site.redis.hget(site.key("order:A7"), "order_no") == "A7"
