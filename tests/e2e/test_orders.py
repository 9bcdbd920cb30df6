"""Orders on the real servers, under load and kills: what is served is what the ERP's own SQL says."""

import json
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.settings import Kafka
from tests.e2e.load import Writers
from tests.e2e.source import HERE, Source, wait_for

# what the contract says of each line, by the ERP's database itself
COVERAGE = """
WITH booked AS (
  SELECT demand_id, SUM(quantity) AS net, SUM(CASE WHEN quantity < 0 THEN -quantity ELSE 0 END) AS returned
  FROM booking WHERE posted GROUP BY demand_id
), line AS (
  SELECT o.number, d.line, d.item_id, w.code AS warehouse, o.status, o.due, d.required,
         COALESCE(b.net, 0) AS issued, COALESCE(b.returned, 0) AS returned,
         CASE WHEN o.status = 'released' THEN GREATEST(0, d.required - COALESCE(b.net, 0)) ELSE 0 END AS open
  FROM demand d JOIN work_order o ON o.id = d.order_id
  LEFT JOIN warehouse w ON w.id = o.warehouse_id LEFT JOIN booked b ON b.demand_id = d.id
), stock AS (
  SELECT q.item_id, w.code AS warehouse, SUM(q.quantity) AS usable
  FROM quant q JOIN location l ON l.id = q.location_id LEFT JOIN warehouse w ON w.id = l.warehouse_id
  WHERE l.usage = 'internal' GROUP BY 1, 2
)
SELECT n.number, n.line::text, n.required, n.issued, n.returned, n.open, GREATEST(0, n.issued - n.required) AS over,
       GREATEST(0, n.open - GREATEST(0,
         (SELECT COALESCE(SUM(s.usable), 0) FROM stock s
          WHERE s.item_id = n.item_id AND (n.warehouse IS NULL OR s.warehouse = n.warehouse))
         - (SELECT COALESCE(SUM(e.open), 0) FROM line e
            WHERE e.item_id = n.item_id AND (n.warehouse IS NULL OR e.warehouse = n.warehouse)
              AND (COALESCE(e.due, 'infinity'), e.number COLLATE "C", e.line)
                < (COALESCE(n.due, 'infinity'), n.number COLLATE "C", n.line)))) AS short
FROM line n
"""
FIGURES = ("required", "issued", "returned", "open", "over", "short")


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Source]:
    source = Source(stack, "orders", str(HERE / "orders"), HERE / "orders" / "schema.sql")
    with source.attached():
        yield source


class Shop:
    """Books material on orders, and changes orders, in a thread of its own until stopped."""

    def __init__(self, source: Source) -> None:
        self.booked = 0
        self._source, self._stop, self._failure = source, threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Shop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert not self._failure, self._failure

    def _run(self) -> None:
        rng = random.Random(7)
        try:
            with psycopg.connect(self._source.stack.postgres.url(self._source.name), autocommit=True) as sql:
                while not self._stop.is_set():
                    with sql.transaction():
                        for _ in range(rng.randint(1, 4)):
                            self._book(sql, rng)
                    self.booked += 1
                    self._stop.wait(0.003)
        except BaseException as e:  # noqa: BLE001 - told by the test's own thread
            self._failure.append(e)

    def _book(self, sql: psycopg.Connection, rng: random.Random) -> None:
        kind, order, line = rng.random(), rng.randint(1, 60), rng.randint(0, 239)
        if kind < 0.6:
            sql.execute(
                "INSERT INTO booking (demand_id, quantity, posted) VALUES (%s, %s, %s)",
                (line, round(rng.uniform(-40, 200), 2), rng.random() < 0.8),
            )
        elif kind < 0.7:
            sql.execute("UPDATE booking SET posted = NOT posted WHERE demand_id = %s", (line,))
        elif kind < 0.8:
            sql.execute("DELETE FROM booking WHERE demand_id = %s", (line,))
        elif kind < 0.9:
            status = rng.choice(["planned", "released", "released", "closed", "cancelled"])
            sql.execute("UPDATE work_order SET status = %s, due = due + 1 WHERE id = %s", (status, order))
        elif kind < 0.95:
            sql.execute("UPDATE demand SET required = %s WHERE id = %s", (rng.randint(0, 5000), line))
        else:
            sql.execute("UPDATE work_order SET number = %s WHERE id = %s", (f"WO-{order}-{rng.randint(1, 2)}", order))


def served(source: Source) -> dict[str, dict[str, str]]:
    """The orders that are there, by number."""
    keys = source.redis.keys(f"{source.prefix}:order:*")
    documents = [source.redis.hgetall(key) for key in keys]
    return {d["order_no"]: d for d in documents if "deleted" not in d}


def figures(documents: dict[str, dict[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    lines = {(no, line["line"]): line for no, d in documents.items() for line in json.loads(d["lines"])}
    return {key: tuple(line[name] for name in FIGURES) for key, line in lines.items()}


def by_sql(source: Source) -> dict[tuple[str, str], tuple[str, ...]]:
    rows = source.sql.execute(COVERAGE).fetchall()
    return {(number, line): tuple(f"{n:.4f}" for n in numbers) for number, line, *numbers in rows}


def told(source: Source) -> dict[str, dict[str, Any]]:
    settings = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    latest = kafka.latest(settings, f"onhand.{source.name}.orders")
    return {key.decode(): json.loads(value) for key, value in latest.items() if value is not None}


def test_orders_are_what_sql_says_after_a_load_with_kills(source: Source) -> None:
    with Writers(source), Shop(source) as shop:
        for kills in (1, 2, 3):
            wait_for(lambda n=kills: shop.booked > 60 * n, "a shop at work", 300)
            source.kill_worker()
            source.start_worker()
        wait_for(lambda: shop.booked > 250, "a shop at work", 300)
    source.wait_until_served(300)
    assert figures(served(source)) == by_sql(source)
    source.verify()


def events(source: Source) -> list[dict[str, str]]:
    """All that the topic holds, each event once; told again, it says the same."""
    settings, found = Kafka(bootstrap_servers=source.stack.kafka.bootstrap), dict[str, dict[str, str]]()

    def take(record: Any) -> None:
        event = json.loads(record.value)
        assert found.setdefault(event["id"], event) == event

    kafka.replay(settings, f"onhand.{source.name}.movements", take)
    assert list(found) == sorted(found)
    return list(found.values())


def test_events_add_up_to_what_is_posted_and_none_is_lost_by_kills(source: Source) -> None:
    source.wait_until_served(300)
    rows = source.sql.execute("SELECT id::text, -quantity FROM booking WHERE posted").fetchall()
    streamed = [fields for _, fields in source.redis.xrange(f"{source.prefix}:movements")]
    told = wait_for(
        lambda: (found := events(source)) and found[-1] == streamed[-1] and found, "the last event told", 300
    )
    added: dict[str, Decimal] = defaultdict(Decimal)
    for event in told:
        added[event["line"]] += Decimal(event["qty"])
    posted = {line for line, _ in rows}
    assert {line: n for line, n in added.items() if line in posted} == dict(rows)
    assert not any(n for line, n in added.items() if line not in posted)
    assert streamed == told[-len(streamed) :]
    assert len(streamed) == len(told), "fewer than Redis keeps"


def test_the_topic_holds_what_redis_holds(source: Source) -> None:
    source.wait_until_served(300)
    documents = served(source)
    expected = {no: d | {"lines": json.loads(d["lines"])} for no, d in documents.items()}
    wait_for(lambda: told(source) == expected, "the orders told")


def test_a_replay_into_an_empty_redis_is_byte_equal(source: Source) -> None:
    source.wait_until_served(300)
    before = served(source)
    source.kill_worker()
    source.redis.flushall()
    source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", "projected anew", 300)
    assert served(source) == before


def test_verify_finds_a_falsified_order_and_has_it_mended(source: Source) -> None:
    key = f"{source.prefix}:order:WO-1"
    source.sql.execute("UPDATE work_order SET number = 'WO-1' WHERE id = 1")
    source.wait_until_served(300)
    source.stop_worker()
    before = source.redis.hget(key, "lines")
    source.redis.hset(key, "lines", before.replace('"required":"', '"required":"7'))
    done = source.onhand("verify", "-o", "json", "--timeout", "5s")
    assert done.returncode == 10, done.stderr
    found = json.loads(done.stdout)
    assert {row["key"] for row in found} == {key}
    assert {row["field"] for row in found} == {f"line {n} required" for n in range(1, 5)}
    assert {row["differs"] for row in found} == {"levels against Redis"}
    source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", "live again", 300)
    mended = source.onhand("verify", "--repair", "--timeout", "60s")
    assert mended.returncode == 0, mended.stderr
    assert source.redis.hget(key, "lines") == before


def test_the_command_shows_an_order(source: Source) -> None:
    number = min(served(source))
    done = source.onhand("order", number, "-o", "json")
    assert json.loads(done.stdout) == json.loads(served(source)[number]["lines"])
    assert f"order {number}: status " in done.stderr
    assert "required" in source.onhand("order", number).stdout
    booked = json.loads(source.onhand("movements", "--order", number, "--last", "3", "-o", "json").stdout)
    assert {event["order_no"] for event in booked} <= {number}
    nothing = source.onhand("order", "no-such-order")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "no order 'no-such-order' is served" in nothing.stderr
