"""Alerts: CPU microseconds that ten rules over levels add to a change.

    python -m bench.alerts [events] [repetitions]

Two folds take the same changes of balances (`bench.cases.star`), one of them with the rules; they take turns, and each
begins with a repetition that is not counted. Cuts are of ten rows as in `bench.engine`, then of one row each. The last
line is one JSON object with all figures.
"""

import gc
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cases import PREFIX, Pair, star
from pipeline.adapters.debezium import LogReader
from pipeline.domain.alert_book import AlertBook
from pipeline.domain.change import Position
from pipeline.domain.levels import stock_levels
from pipeline.rules import Known, RuleText, compile_rules, load
from streams.fold import Place
from streams.worker import tune_collector

RULES = """
[below_minimum]
scope = "level"
when = "available < 80000 AND warehouse IN ('W1', 'W2')"
[low]
scope = "level"
when = "on_hand < 75000"
until = "on_hand >= 80000"
[too_much]
scope = "level"
when = "on_hand > 175000.5"
[promised]
scope = "level"
when = "reserved > 2000"
for = "5m"
[half_promised]
scope = "level"
when = "reserved * 2 > on_hand"
[empty]
scope = "level"
when = "on_hand = 0 AND NOT (warehouse IN ('W3'))"
[blocked]
scope = "level"
when = "usable < on_hand"
[between]
scope = "level"
when = "available BETWEEN 1 AND 10"
[negative_on_hand]
when = "on_hand < 0 AND NOT (warehouse IN ('W3') OR SUBSTRING(item, 1, 3) = 'VMI')"
"""
"""Nine, and negative_available."""


class Run:
    """A fold of its own, with or without rules."""

    def __init__(self, rules: Sequence[RuleText]) -> None:
        self.case = star()
        self.view = self.case.engine.views["stock"]
        self.levels = stock_levels("stock", self.view, "stock")
        self.book = AlertBook(compile_rules(rules, Known(self.levels)))
        self.read, self.offset, self.raised = LogReader(PREFIX, self.case.engine.tables).read, 0, 0
        self.fold([self.case.record(row) for row in self.case.facts], 10)

    def fold(self, records: list[Pair], rows: int) -> float:
        """CPU seconds for cuts of so many rows."""
        read, levels, book = self.read, self.levels, self.book
        started = time.process_time()
        for at in range(0, len(records), rows):
            for key, value in records[at : at + rows]:
                change: Any = read(key, value)
                change.table.upsert(change.row)
            self.offset += rows
            place = Place(self.offset, Position(self.offset), self.offset)
            self.raised += len(book.evaluate(levels.absorb(self.view.drain(), self.offset, self.offset), place))
        spent = time.process_time() - started
        levels.documents()
        return spent


def ten_rules() -> list[RuleText]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alerts.toml"
        path.write_text(RULES)
        return [rule for rule in load(path) if rule.scope == "level" and rule.rule.kind != "below_safety"]


def added(events: int, repetitions: int, rows: int) -> tuple[float, float, float]:
    """Microseconds an event: without rules, what ten add (the median of all turns), and events told in a thousand."""
    rules = ten_rules()
    assert len(rules) == 10
    bare, ruled = Run([]), Run(rules)
    without, more = [], []
    ruled.raised = 0
    for _ in range(repetitions + 1):
        records = [bare.case.record(row) for row in itertools.islice(bare.case.changes, events)]
        gc.collect()
        gc.freeze()
        times = [run.fold(records, rows) / events * 1e6 for run in (bare, ruled)]
        without.append(times[0])
        more.append(times[1] - times[0])
    told = 1000 * ruled.raised / events / (repetitions + 1)
    return statistics.median(without[1:]), statistics.median(more[1:]), told


def main(events: int = 2_000, repetitions: int = 60) -> None:
    figures = {}
    print(f"{events:,} events, {repetitions} repetitions, CPU time; Python {sys.version.split()[0]}")
    for rows, name in ((10, "us_per_event"), (1, "us_per_event_alone")):
        without, more, told = added(events, repetitions, rows)
        print(f"cuts of {rows:2} rows: {without:5.2f} us/event without rules, ten add {more:4.2f};", end=" ")
        print(f"{told:.0f} of 1,000 events told", flush=True)
        figures[name] = round(more, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    tune_collector()
    main(*map(int, sys.argv[1:3]))
