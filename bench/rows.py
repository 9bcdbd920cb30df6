"""Events a second of a large ledger, with its rows in memory and on disk.

    python -m bench.rows [rows] [events]

A ledger entry's quantities change at random places of all rows, 2,000 to a batch as the worker gets them, each folded
from Debezium's bytes (decoding is in the figures) into levels of item and warehouse. Every store runs in a process of
its own. `private` is the memory that is the process's own; `mapped` are pages of the file, which the system takes back
when it needs them, and which make the figures what they are: with less free memory than `on disk`, the disk is read.
"""

import gc
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.cases import PREFIX, Pair, load, record
from pipeline.adapters.debezium import LogReader
from pipeline.query import Engine, MappingText, compile_source
from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore
from streams.worker import tune_collector
from tests.query.schemas import catalog_of

ITEMS, WAREHOUSES, BATCH = 10_000, 20, 2_000
DDL = """CREATE TABLE entry (id bigint PRIMARY KEY, item_id int NOT NULL, warehouse varchar NOT NULL, lot varchar,
                             quantity numeric(18,4) NOT NULL, reserved numeric(18,4));
         CREATE TABLE item (id int PRIMARY KEY, code text NOT NULL);"""
SQL = """SELECT e.item_id, i.code AS item, e.warehouse AS warehouse, e.quantity AS on_hand, e.reserved AS reserved
         FROM entry e JOIN item i ON i.id = e.item_id"""


def entry(i: int, quantity: int) -> dict[str, Any]:
    return {
        "id": i, "item_id": i * 7919 % ITEMS, "warehouse": f"W{i % WAREHOUSES}", "lot": f"L{i % 997}",
        "quantity": f"{quantity}.0000", "reserved": f"{quantity % 100}.0000",
    }  # fmt: skip


class Ledger:
    """The ledger folded, fed in batches of Debezium's records."""

    def __init__(self, directory: Path | None) -> None:
        self.store = DiskStore(directory, "bench") if directory else MemoryStore()
        texts = [MappingText("stock", SQL, "stock.sql")]
        self.engine: Engine = compile_source(texts, catalog_of(DDL, "postgres"), {}, store=self.store)
        self.offset = 0
        load(self.engine, "public.item", ({"id": i, "code": f"I{i}"} for i in range(ITEMS)))

    def fill(self, rows: int) -> None:
        """Rows in the order of their keys, as a snapshot has them."""
        fold = self.engine.tables["public.entry"]
        upsert, convert, row_type = fold.upsert, msgspec.convert, fold.row_type
        for begin in range(0, rows, BATCH):
            for i in range(begin, min(rows, begin + BATCH)):
                upsert(convert(entry(i, i % 1000), row_type))
            self._end_batch(BATCH)

    def run(self, batches: list[list[Pair]]) -> None:
        """Batches of Debezium's records."""
        read = LogReader(PREFIX, self.engine.tables).read
        upsert = self.engine.tables["public.entry"].upsert
        for batch in batches:
            for key, value in batch:
                upsert(read(key, value).row)
            self._end_batch(len(batch))

    def record(self, i: int, quantity: int) -> Pair:
        """An entry with another quantity, as the connector writes it."""
        return record(self.engine, "public.entry", entry(i, quantity))

    def _end_batch(self, size: int) -> None:
        self.engine.views["stock"].drain()
        self.offset += size
        self.store.flush(self.offset)


def measure(rows: int, events: int, directory: Path | None) -> dict[str, float]:
    """One store: events a second (CPU and wall), rows a second while filling, memory and disk in MB."""
    tune_collector()
    ledger = Ledger(directory)
    began = time.process_time()
    ledger.fill(rows)
    filled = time.process_time() - began
    gc.collect()
    gc.freeze()  # as the worker does when it goes live
    rng = random.Random(1)
    cpu = wall = 0.0
    for share in range(5):  # made in shares, so that the records themselves take little memory
        count = events // 5 // BATCH or 1
        batches = [
            [ledger.record(rng.randrange(rows), rng.randrange(10**6)) for _ in range(BATCH)] for _ in range(count)
        ]
        before = time.process_time(), time.perf_counter()
        ledger.run(batches)
        if share:  # the first one warms up
            cpu += time.process_time() - before[0]
            wall += time.perf_counter() - before[1]
    done = 4 * count * BATCH
    status = {k: int(v.split()[0]) / 1024 for k, v in _status() if v.endswith("kB")}
    return {
        "events_per_s": done / cpu,
        "events_per_wall_s": done / wall,
        "us": cpu / done * 1e6,
        "fill_per_s": rows / filled,
        "private_mb": status["RssAnon"],
        "mapped_mb": status["RssFile"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk_mb": sum(p.stat().st_blocks for p in directory.iterdir()) / 2048 if directory else 0,
    }


def _status() -> list[tuple[str, str]]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)]


def measured(kind: str, rows: int, events: int) -> dict[str, float]:
    """`measure` of a "memory" or "disk" store, in a process of its own."""
    command = [sys.executable, "-m", "bench.rows", str(rows), str(events), kind]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def disk_events_per_s(rows: int = 1_000_000, events: int = 300_000) -> float:
    """Events a second of CPU time, decoding included, with the rows on disk."""
    return measured("disk", rows, events)["events_per_s"]


def _child(rows: int, events: int, kind: str) -> None:
    directory = Path(tempfile.mkdtemp(prefix="onhand-rows-")) if kind == "disk" else None
    try:
        print(json.dumps(measure(rows, events, directory)))
    finally:
        if directory:
            shutil.rmtree(directory)


def main() -> None:
    """Both stores, one after the other."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    if len(sys.argv) > 3:
        _child(rows, events, sys.argv[3])
        return
    print(f"{rows} rows, {events} events at random, {BATCH} to a batch, bytes to level")
    print("store   events/s   us/event   events/s (wall)   rows/s filled   private MB   mapped MB   on disk MB")
    for kind in ("memory", "disk"):
        m = measured(kind, rows, events)
        print(
            f"{kind:6} {m['events_per_s']:9,.0f} {m['us']:10.2f} {m['events_per_wall_s']:17,.0f} "
            f"{m['fill_per_s']:15,.0f} {m['private_mb']:12,.0f} {m['mapped_mb']:11,.0f} {m['disk_mb']:12,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
