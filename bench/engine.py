"""The mapping engine: CPU microseconds from a record's bytes to the changed group, and bytes a remembered row.

    python -m bench.engine [events] [repetitions]

An event is read as Kafka delivers it (`LogReader`), folded, and drained in transactions of ten rows. The cases take
turns; each begins with a repetition that is not counted. The last line is one JSON object with all figures.
"""

import gc
import itertools
import json
import statistics
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

import psutil

from bench.cases import CASES, PREFIX, Case, Pair, star
from bench.rows import disk_events_per_s
from pipeline.adapters.debezium import LogReader
from streams.worker import tune_collector

TRANSACTION = 10  # rows


class Run:
    """One case, ready: its facts are folded, and repetitions can be measured."""

    def __init__(self, case: Case) -> None:
        self.case, self.view = case, case.engine.views["stock"]
        self.read = LogReader(PREFIX, case.engine.tables).read
        self.fold([case.record(row) for row in case.facts])

    def fold(self, records: list[Pair]) -> None:
        """What the worker's inner loop does with rows."""
        read, drain = self.read, self.view.drain
        for at in range(0, len(records), TRANSACTION):
            for key, value in records[at : at + TRANSACTION]:
                change: Any = read(key, value)
                change.table.upsert(change.row)
            drain()

    def measure(self, events: int) -> float:
        """CPU microseconds an event over `events` new changes."""
        records = [self.case.record(row) for row in itertools.islice(self.case.changes, events)]
        gc.collect()
        gc.freeze()
        started = time.process_time()
        self.fold(records)
        return (time.process_time() - started) / events * 1e6


def speed(events: int, repetitions: int) -> dict[str, float]:
    """Median by case."""
    runs = {name: Run(make()) for name, make in CASES.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions + 1):
        for name, run in runs.items():
            times[name].append(run.measure(events))
    print("case     median   (min to max) us/event")
    for name, (_, *counted) in times.items():
        spread = f"({min(counted):.2f} to {max(counted):.2f})"
        print(f"{name:8} {statistics.median(counted):6.2f}   {spread:16} {CASES[name].__doc__}", flush=True)
    return {f"{name}_us": round(statistics.median(counted), 2) for name, (_, *counted) in times.items()}


def remember(rows: int, items: int) -> None:
    """Fold `rows` facts, then change a quarter, and print the bytes a row costs: all that the process has grown."""
    case = star(rows, items)
    read, drain = LogReader(PREFIX, case.engine.tables).read, case.engine.views["stock"].drain
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    for n, row in enumerate(itertools.chain(case.facts, itertools.islice(case.changes, rows // 4))):
        change: Any = read(*case.record(row))
        change.table.upsert(change.row)
        if n % 1000 == 0:
            drain()
    drain()
    gc.collect()
    grown = process.memory_info().rss - before
    groups = sum(1 for _ in case.engine.views["stock"].groups())
    print(json.dumps({"bytes": grown / rows, "groups": groups}))


def memory() -> dict[str, float]:
    """Bytes a row at two sizes, five rows a group; and for comparison with a group for each row."""
    figures = {}
    print("bytes a remembered row: rows, join indexes and groups")
    for name, rows, items in (
        ("bytes_per_row_200k", 200_000, 2_000),
        ("bytes_per_row_1m", 1_000_000, 10_000),
        ("bytes_per_row_1m_group_each", 1_000_000, 50_000),
    ):
        command = [sys.executable, "-m", "bench.engine", "--remember", str(rows), str(items)]
        measured = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        print(f"{name:28} {measured['bytes']:4.0f}   {measured['groups']:,} groups", flush=True)
        figures[name] = round(measured["bytes"])
    return figures


def disk() -> dict[str, float]:
    """Events a second with the rows on disk: `bench.rows` measures it."""
    return {"disk_events_per_s": round(disk_events_per_s())}


def main(events: int = 20_000, repetitions: int = 7) -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("msgspec", "sqlglot"))
    print(f"{events:,} events, {repetitions} repetitions, CPU time; Python {sys.version.split()[0]}, {versions}")
    figures = speed(events, repetitions) | memory() | disk()
    print(json.dumps(figures))


if __name__ == "__main__":
    tune_collector()
    if sys.argv[1:2] == ["--remember"]:
        remember(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:3]))
