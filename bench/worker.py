"""Log records a second, from Kafka through the real worker (Faust, fold, levels, alerts) into Redis.

    python -m bench.worker [transactions] [repetitions]

A backlog of transfers (BEGIN, the document's row, two balance rows, END) over 200,000 balances is folded live: every
transfer becomes visible, as level and item documents, and as details where the mapping yields them. `replay` is the
same log folded silently, as a worker does at its start. Prints records/s and CPU per record, median and spread; Kafka
and Redis run on the same cores.
"""

import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvloop
from aiokafka import AIOKafkaProducer
from redis import Redis

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.applied import Applied, Text
from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.settings import Settings
from streams.app import make_app, wire
from streams.scrub import Scrub
from streams.worker import make_publisher, tune_collector

BALANCES, ITEMS, PLACES, WAREHOUSES = 200_000, 10_000, 20, 4
PREFIX = "onhand.bench"
SQL = {
    "levels": """SELECT i.code AS item, l.warehouse, q.quantity AS on_hand, q.reserved FROM quant q
        JOIN location l ON l.id = q.location_id JOIN item i ON i.id = q.item_id WHERE l.usage = 'internal'""",
    "details": """SELECT i.code AS item, l.warehouse, l.code AS location, q.quantity AS on_hand, q.reserved FROM quant q
        JOIN location l ON l.id = q.location_id JOIN item i ON i.id = q.item_id WHERE l.usage = 'internal'""",
}
MOVEMENTS = """SELECT 'transfer' AS doc_type, m.doc AS doc_no, m.id AS line, i.code AS item, l.warehouse,
    'transfer' AS kind, m.qty
    FROM move m JOIN item i ON i.id = m.item_id JOIN location l ON l.id = m.dst WHERE m.state = 'done'"""


def catalog() -> Catalog:
    def table(name: str, **columns: str) -> Table:
        return Table(f"public.{name}", {c: Column(c, t, nullable=c != "id") for c, t in columns.items()}, ("id",))

    return Catalog.of(
        "postgres",
        table("item", id="integer", code="text"),
        table("location", id="integer", code="text", usage="text", warehouse="text"),
        table("quant", id="integer", item_id="integer", location_id="integer",
              quantity="numeric(18,4)", reserved="numeric(18,4)"),
        table("move", id="integer", item_id="integer", src="integer", dst="integer", qty="numeric(18,4)",
              state="text", doc="text"),
    )  # fmt: skip


Pair = tuple[bytes, bytes]


def row(table: str, after: dict[str, Any], op: str, stage: str, lsn: int, total: int) -> Pair:
    key = {"row": {"id": after["id"], "__dbz__physicalTableIdentifier": f"{PREFIX}.public.{table}"}}
    source = {
        "version": "3.7.0.Final", "connector": "postgresql", "name": PREFIX, "ts_ms": 1795387603549, "snapshot": stage,
        "db": "bench", "sequence": f'["{lsn - 1}","{lsn}"]', "ts_us": 1795387603549028, "ts_ns": 1795387603549028000,
        "schema": "public", "table": table, "txId": lsn, "lsn": lsn, "xmin": None, "origin": None, "origin_lsn": None,
    }  # fmt: skip
    value = {"before": None, "after": after, "source": source, "op": op, "ts_ms": 1795387603886,
             "transaction": {"id": f"{lsn}:{lsn}", "total_order": total, "data_collection_order": total}}  # fmt: skip
    return _json(key), _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def marker(status: str, lsn: int) -> Pair:
    value = {"status": status, "id": f"{lsn}:{lsn}", "event_count": 3, "data_collections": [], "ts_ms": 1795387603549}
    return b'{"row":{}}', _json(value)


def quant(n: int, quantity: int) -> dict[str, Any]:
    return {"id": n, "item_id": n % ITEMS, "location_id": (n // ITEMS) % PLACES,
            "quantity": f"{quantity}.0000", "reserved": "0.0000"}  # fmt: skip


def snapshot() -> Iterator[Pair]:
    yield kafka.EPOCH_KEY, _json({"control": "epoch", "epoch": 1})
    yield kafka.DAY_KEY, _json({"control": "day", "date": "2026-11-22"})
    for n in range(ITEMS):
        yield row("item", {"id": n, "code": f"I{n}"}, "r", "first" if not n else "true", 10, 0)
    for n in range(PLACES):
        place = {"id": n, "code": f"L{n}", "usage": "internal", "warehouse": f"W{n % WAREHOUSES}"}
        yield row("location", place, "r", "true", 10, 0)
    for n in range(BALANCES):
        yield row("quant", quant(n, 100), "r", "last" if n == BALANCES - 1 else "true", 10, 0)


def history(transactions: int) -> Iterator[Pair]:
    rng = random.Random(1)
    for t in range(transactions):
        lsn = 1000 + 10 * t
        yield marker("BEGIN", lsn)
        move = {"id": t, "item_id": t % ITEMS, "src": 1, "dst": 2, "qty": "5.0000", "state": "done", "doc": f"D{t}"}
        yield row("move", move, "c", "false", lsn, 1)
        for n in (1, 2):
            yield row("quant", quant(rng.randrange(BALANCES), rng.randrange(1, 1000)), "u", "false", lsn + n, n + 1)
        yield marker("END", lsn + 5)


async def produce(bootstrap: str, topic: str, records: Iterator[Pair]) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=262144, compression_type="lz4"
    )
    await producer.start()
    last = None
    for n, (key, value) in enumerate(records):
        last = await producer.send(topic, value, key=key, partition=0)
        if n % 5000 == 0:
            await last
    await producer.flush()
    await producer.stop()
    return int((await last).offset) + 1 if last else 0


def settings_for(bootstrap: str, redis_url: str, name: str) -> Settings:
    source = {"pack": "bench", "database": "postgresql://cdc@127.0.0.1/bench", "prefix": f"stock-{name}"}
    return Settings(kafka={"bootstrap_servers": bootstrap}, redis={"url": redis_url}, sources={"bench": source})


def applied(shape: str) -> Applied:
    return Applied(
        name="bench", epoch=1, applied_at=1, pack="bench", dialect="postgres", digest=shape,
        catalog=catalog().to_dict(),
        texts=[Text("stock", "stock.sql", SQL[shape]), Text("movements", "movements.sql", MOVEMENTS)],
        bound={}, stock={"reserved": "stock", "usable": None},
        time_zone="UTC", prefix=f"stock-{shape}", topics={"log": "onhand.bench.log", "alerts": "onhand.bench.alerts"},
    )  # fmt: skip


async def fold(bootstrap: str, redis_url: str, shape: str, live_from: int, end: int) -> None:
    """One worker over the whole log: silent up to `live_from`, then live up to `end`; prints its figures as JSON."""
    tune_collector()
    settings = settings_for(bootstrap, redis_url, shape)
    source = settings.source("bench")
    app = make_app(settings.kafka, source)
    app.conf.id = f"bench-{shape}-{live_from}-{time.time_ns()}"
    publisher = make_publisher(app, settings, source, applied(shape), {})
    publisher.ledger.replay_until = live_from

    def fatal(e: BaseException) -> None:
        raise SystemExit(repr(e))

    wire(app, source, publisher, Scrub(source.name, publisher.fold, settings.worker.scrub_keys_per_second), fatal)
    await app.start()
    marks = {}
    while (publisher.ledger.published or 0) < end:
        done = publisher.ledger.folded
        if done >= 0 and "start" not in marks:
            marks["start"] = (time.perf_counter(), time.process_time(), done)
        if publisher.live and publisher.ledger.published and "live" not in marks:
            marks["live"] = (time.perf_counter(), time.process_time(), done)
        await asyncio.sleep(0.005)
    marks["end"] = (time.perf_counter(), time.process_time(), end)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"marks": marks, "rss_mb": rss, "rows": publisher.fold.rows}), flush=True)
    await app.stop()


def measure(stack: Stack, shape: str, live_from: int, end: int) -> dict[str, Any]:
    Redis.from_url(stack.redis.url).flushall()
    command = [sys.executable, "-m", "bench.worker", "--fold", stack.kafka.bootstrap, stack.redis.url, shape]
    done = subprocess.run([*command, str(live_from), str(end)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def report(name: str, rates: list[float], cpu: list[float]) -> None:
    middle, spread = statistics.median(rates), f"{min(rates):,.0f} to {max(rates):,.0f}"
    print(f"{name:<28} {middle:>9,.0f} records/s ({spread}), {statistics.median(cpu):.1f} us CPU a record", flush=True)


def figures(run: dict[str, Any], since: str) -> tuple[float, float]:
    (t0, c0, n0), (t1, c1, n1) = run["marks"][since], run["marks"]["end"]
    return (n1 - n0) / (t1 - t0), (c1 - c0) / (n1 - n0) * 1e6


def main(transactions: int, repetitions: int) -> None:
    with Stack(parts=("kafka", "redis"), fast_jvm=False, fsync=False) as stack:
        options = settings_for(stack.kafka.bootstrap, stack.redis.url, "x").kafka
        kafka.ensure_topic(options, "onhand.bench.log", kafka.LOG)
        kafka.ensure_topic(options, "onhand.bench.alerts", kafka.COMPACTED)
        live_from = asyncio.run(produce(stack.kafka.bootstrap, "onhand.bench.log", snapshot()))
        end = asyncio.run(produce(stack.kafka.bootstrap, "onhand.bench.log", history(transactions)))
        print(
            f"log: {end:,} records, {end - live_from:,} of them in {transactions:,} transactions; {BALANCES:,} balances"
        )
        for shape in SQL:
            live = [measure(stack, shape, live_from, end) for _ in range(repetitions)]
            report(f"live into Redis, {shape}", *zip(*(figures(r, "live") for r in live), strict=True))
            replay = [measure(stack, shape, end, end) for _ in range(repetitions)]
            report(f"replay at start, {shape}", *zip(*(figures(r, "start") for r in replay), strict=True))
            rss = max(r["rss_mb"] for r in live + replay)
            print(f"{'':<28} {rss} MB resident, {live[0]['rows']:,} rows remembered")


if __name__ == "__main__":
    uvloop.install()
    if sys.argv[1:2] == ["--fold"]:
        asyncio.run(fold(*sys.argv[2:5], *map(int, sys.argv[5:7])))
    else:
        main(*[int(a) for a in sys.argv[1:3]] or (100_000, 3))
