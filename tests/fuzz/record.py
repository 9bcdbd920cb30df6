"""Records that no Debezium would write, after a good snapshot: the fold goes on, and rejected ones move no number."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from hypothesis import strategies as st

from pipeline.adapters.debezium import LogReader
from pipeline.domain import change as c
from pipeline.domain.levels import stock_levels
from pipeline.domain.stored import fields_of
from pipeline.domain.times import iso
from streams.fold import StockFold
from tests.fuzz.lines import changed
from tests.fuzz.run import Part, hunt
from tests.streams.erp import DAY, PREFIX, SERVER, Log, Op, Record, compiled, item, place, quant, states

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

ROWS = [
    item(1, "A"),
    item(2, "B"),
    item(3, "C"),
    place(1, "x", "W1"),
    place(2, "y", "W2"),
    quant(1, 1, 1, 5),
    quant(2, 2, 2, "3.50", "1.00"),
    quant(3, 3, 1, 7, due="2026-11-23"),
]


def _good() -> list[Record]:
    """A record of every kind, as Debezium writes them."""
    log = Log().begun()
    log.snapshot(1, states([ROWS])[1])
    log.transaction(2, [quant(1, 1, 2, 6), Op("quant", 2, None), item(2, "Z")])
    log.truncate(3, "quant")
    log.put({"row": {"serverName": SERVER}}, {"ts_ms": 1795387659243})
    message = {
        "op": "m",
        "ts_ms": 1,
        "source": {"ts_ms": 1, "schema": "", "table": ""},
        "message": {"prefix": "onhand"},
    }
    log.put({"row": {"prefix": "onhand.small"}}, message)
    return log.records


GOOD, ENGINE = _good(), compiled()
_PIECES = (
    '"r"',
    '"d"',
    '"t"',
    '"m"',
    '"op"',
    '"status"',
    '"END"',
    '"BEGIN"',
    '"last"',
    '"incremental"',
    '"control"',
    '"day"',
    '"epoch"',
    '"mapping"',
    '"__debezium_unavailable_value"',
    "null",
    "{}",
    "1795387659243",
    "99999999999999999999",
    '"NaN"',
    '"1E+9999"',
    '"0.0001"',
    '"\\ud800"',
    '"after"',
    "-9223372036854775808",
    '"2026-11-24"',
    "1e400",
)


@dataclass(frozen=True)
class Example:
    """Records of any kind."""

    records: tuple[tuple[bytes | None, bytes | None], ...]


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[bytes | None, bytes | None]:
    good = draw(st.sampled_from(GOOD))
    key: bytes | None = good.key
    value: bytes | None = good.value
    if draw(st.integers(0, 2)) == 0 and key is not None:
        key = draw(st.none() | changed(key.decode(), _PIECES) | st.sampled_from([r.key for r in GOOD]))
    if draw(st.integers(0, 4)) and value is not None:
        value = draw(st.none() | changed(value.decode(), _PIECES))
    return key, value


def examples() -> st.SearchStrategy[Example]:
    """One to three records after a good snapshot."""
    return st.builds(Example, st.lists(_pairs(), min_size=1, max_size=3).map(tuple))


def outcome(example: Example) -> str:
    """`folded`, or `rejected` where all were; AssertionError where a rejected record moved a number."""
    log, fold = Log().begun(), _fresh()
    log.snapshot(1, states([ROWS])[1])
    for record in log.records:
        fold.fold(record)
    read, rejected = LogReader(SERVER, fold.engine.tables).read, 0
    for number, (key, value) in enumerate(example.records):
        record = Record(key, value, log.records[-1].offset + 1 + number)
        before, held = _served(fold), len(fold.quarantine)
        change = read(key, value)
        # a snapshot's end takes away what it did not read
        ends_snapshot = fold.visibility.in_snapshot or isinstance(change, c.SnapshotRow)
        fold.fold(record)
        fold.tidy()
        if isinstance(change, c.Rejection) or len(fold.quarantine) > held:
            rejected += 1
            if _served(fold) != before and not ends_snapshot:
                raise AssertionError("a rejected record moved a number")
    _go_on(fold)
    return "rejected" if rejected == len(example.records) else "folded"


def _fresh() -> StockFold:
    """An empty fold on the one engine: compiling takes longer than everything else."""
    for table in ENGINE.tables.values():
        table.clear()
    ENGINE.set_today(DAY)
    for view in ENGINE.views.values():
        view.drain()
    levels = stock_levels(PREFIX, ENGINE.views["stock"], "stock")
    return StockFold(ENGINE, levels, LogReader(SERVER, ENGINE.tables))


def _go_on(fold: StockFold) -> None:
    """The next transaction comes: what is served can be written, and its own row counts."""
    log = Log()
    log.transaction(10**9, [item(9, "NEXT"), quant(99, 9, None, 4)])
    for record in log.records:
        fold.fold(Record(record.key, record.value, 1000 + record.offset))
    place = fold.place
    assert place is not None
    _ = iso(place.time_ms), str(place.position), [iso(d.time_ms) for d in fold.levels.all_documents()]
    if place.offset >= 1000 and _served(fold).get("stock:{NEXT}", {}).get("on_hand") != "4.00":
        raise AssertionError("the next row does not count")


def _served(fold: StockFold) -> dict[str, dict[str, str]]:
    return fields_of(fold.levels.all_documents())


PARTS = {"record": Part(examples, outcome)}
COVERED = ("pipeline.adapters.debezium", "streams.fold", "pipeline.domain")


def run(seconds: float, seed: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Try for so long."""
    return hunt("record", PARTS, seconds, seed, say)
