"""Microseconds a row event: decode with msgspec from Debezium's bytes, fold, drain.

    python -m bench.engine [events] [repetitions]

Prints median and spread of a star join with two sums and of Tryton's stock, once with decoding and once without.
"""

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pipeline.domain.catalog import Catalog
from pipeline.query import Engine, MappingText, compile_source
from tests.query.mappings import STAR
from tests.query.schemas import catalog_of

TRYTON = Path(__file__).parent.parent / "tests" / "query" / "packs" / "tryton8"
SOURCE = '"source":{"version":"3.7.0.Final","connector":"postgresql","name":"erp","ts_ms":1790000000000,"db":"erp",'


class Envelope:
    """Debezium's change record of one table, as far as a fold reads it."""

    def __init__(self, engine: Engine, table: str) -> None:
        row = engine.tables[table].row_type
        struct = msgspec.defstruct("Envelope", [("after", row | None, None)], gc=False)
        self.decode = msgspec.json.Decoder(struct).decode


def record(row: dict[str, Any]) -> bytes:
    """About 600 bytes, as the connector writes them without schemas."""
    after = msgspec.json.encode(row | {"write_date": "2026-11-22T10:00:00.123456Z", "create_uid": 1}).decode()
    tail = '"sequence":"[1,2]","ts_us":1790000000000000,"schema":"public","table":"x","txId":7,"lsn":24023128}'
    return f'{{"before":null,"after":{after},{SOURCE}{tail},"op":"u","ts_ms":1790000000001}}'.encode()


def star(events: int) -> tuple[Engine, str, list[bytes]]:
    """200 items, 20 locations, a quant table whose quantities change."""
    engine = compile_source(STAR.texts, catalog_of(STAR.ddl, "postgres"), {})
    rng = random.Random(1)
    items = [{"id": i, "code": f"I{i}"} for i in range(200)]
    places = [{"id": i, "code": f"L{i}", "usage": "internal", "warehouse": f"W{i % 4}"} for i in range(20)]
    load(engine, "public.item", items)
    load(engine, "public.location", places)
    rows = [
        {"id": (i := rng.randrange(20_000)), "item_id": i % 200, "location_id": i % 20, "lot": None,
         "quantity": f"{rng.randrange(10_000)}.0000", "reserved": f"{rng.randrange(100)}.0000"}
        for _ in range(events)
    ]  # fmt: skip
    return engine, "public.quant", [record(r) for r in rows]


def tryton(events: int) -> tuple[Engine, str, list[bytes]]:
    """Moves between 40 storage locations, three to six levels below a warehouse; each goes assigned -> done."""
    catalog: Catalog = catalog_of((TRYTON / "schema.sql").read_text(), "postgres")
    text = MappingText("stock", (TRYTON / "stock.sql").read_text(), "stock.sql")
    engine = compile_source([text], catalog, {"orgs": [1]}, today="2026-11-22")
    rng = random.Random(1)
    places = [{"id": 1, "type": "warehouse", "parent": None, "code": "WH"}]
    places += [{"id": i, "type": "storage", "parent": max(1, i // 2), "code": f"L{i}"} for i in range(2, 42)]
    load(engine, "public.stock_location", places)
    load(engine, "public.product_product", [{"id": i, "code": f"P{i}"} for i in range(500)])
    load(engine, "public.stock_lot", [{"id": i, "number": f"B{i}"} for i in range(100)])
    moves = [
        {"id": i, "product": rng.randrange(500), "lot": rng.randrange(100), "company": 1, "planned_date": "2026-11-20Z",
         "from_location": rng.randrange(2, 42), "to_location": rng.randrange(2, 42), "effective_date": None}
        for i in range(20_000)
    ]  # fmt: skip
    rows = []
    for i in range(events // 2):
        move = moves[i % len(moves)] | {"internal_quantity": rng.randrange(1000) / 4, "state": "assigned"}
        rows += [move, move | {"state": "done", "effective_date": "2026-11-21Z"}]
    return engine, "public.stock_move", [record(r) for r in rows]


def load(engine: Engine, table: str, rows: list[dict[str, Any]]) -> None:
    """Dimension rows."""
    fold = engine.tables[table]
    for row in rows:
        fold.upsert(msgspec.convert(row, fold.row_type))


def measure(make: Callable[[int], tuple[Engine, str, list[bytes]]], events: int, *, decoded: bool) -> float:
    """Microseconds an event of one fresh engine; the first tenth warms it up."""
    engine, table, records = make(events)
    decode, upsert = Envelope(engine, table).decode, engine.tables[table].upsert
    rows = [decode(r).after for r in records] if decoded else records
    warm = len(rows) // 10
    for row in rows[:warm]:
        upsert(row if decoded else decode(row).after)
    gc.collect()
    gc.freeze()
    started = time.process_time()
    if decoded:
        for row in rows[warm:]:
            upsert(row)
    else:
        for row in rows[warm:]:
            upsert(decode(row).after)
    engine.views["stock"].drain()
    return (time.process_time() - started) / (len(rows) - warm) * 1e6


def main() -> None:
    """Both mappings, with and without decoding."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{events} events, {repetitions} repetitions, CPU time, Python {sys.version.split()[0]}")
    for name, make in (("star join, two sums", star), ("Tryton stock, 7-level parents", tryton)):
        for decoded, what in ((True, "fold"), (False, "decode + fold")):
            times = [measure(make, events, decoded=decoded) for _ in range(repetitions)]
            print(
                f"{name:32} {what:14} {statistics.median(times):6.2f} us/event",
                f"(min {min(times):.2f}, max {max(times):.2f})",
            )


if __name__ == "__main__":
    main()
