"""The feed of an idle source: complete up to the first of two heartbeats in a row, and never inside a transaction."""

import json

from pipeline.adapters.debezium import LogReader
from pipeline.domain.change import Position
from pipeline.domain.levels import stock_levels
from pipeline.domain.quiet import Quiet
from pipeline.query import MappingText, compile_source
from streams.fold import StockFold
from tests.query.schemas import catalog_of
from tests.streams.erp import Record

PREFIX = "onhand.maria"
SQL = "SELECT q.item, 'W' AS warehouse, q.n AS on_hand FROM quant q"
CATALOG = catalog_of("CREATE TABLE quant (item varchar(9) PRIMARY KEY, n int)", "mysql")
KEY = {"row": {"item": "A", "__dbz__physicalTableIdentifier": f"{PREFIX}.erp.quant"}}
HEARTBEAT = {"row": {"serverName": PREFIX}}


class Log:
    """Records as the connector writes them, folded as they come."""

    def __init__(self, *, has_marks: bool = False) -> None:
        engine = compile_source([MappingText("stock", SQL, "stock.sql")], CATALOG, {})
        reader = LogReader(PREFIX, engine.tables, has_marks=has_marks)
        self.fold = StockFold(engine, stock_levels("stock", engine.views["stock"], "none"), reader)
        self.offset = -1

    def write(self, key: object, value: object) -> None:
        self.offset += 1
        self.fold.fold(Record(json.dumps(key, separators=(",", ":")).encode(), json.dumps(value).encode(), self.offset))

    def heartbeat(self, time_ms: int) -> None:
        self.write(HEARTBEAT, {"ts_ms": time_ms})

    def marker(self, status: str, gtid: str) -> None:
        self.write({"row": {}}, {"status": status, "id": gtid, "event_count": 1, "ts_ms": 5000})

    def row(self, n: int) -> None:
        source = {
            "ts_ms": 5000,
            "snapshot": "false",
            "db": "erp",
            "table": "quant",
            "gtid": "0-1-7",
            "file": "b.1",
            "pos": 1,
        }
        self.write(KEY, {"before": None, "after": {"item": "A", "n": n}, "source": source, "op": "c"})

    def truncate(self, gtid: str) -> None:
        source = {
            "ts_ms": 6000,
            "snapshot": "false",
            "db": "erp",
            "table": "quant",
            "gtid": gtid,
            "file": "b.1",
            "pos": 1,
        }
        self.write({"row": None}, {"before": None, "after": None, "source": source, "op": "t"})

    @property
    def shown(self) -> list[list[str]]:
        return [d.fields for d in self.fold.levels.documents() if d.fields and d.level and len(d.level.idents) == 2]


def test_two_heartbeats_in_a_row_say_up_to_when_the_feed_is_complete() -> None:
    log = Log()
    log.marker("BEGIN", "0-1-7")
    log.row(3)
    log.marker("END", "0-1-7")
    log.heartbeat(9000)
    assert (log.fold.place.time_ms, log.fold.place.quiet) == (5000, False)
    log.heartbeat(10_000)
    assert (log.fold.place.time_ms, log.fold.place.quiet, log.fold.place.offset) == (9000, True, 4)
    assert str(log.fold.place.position) == "0-1-7"


def test_within_an_open_transaction_they_say_nothing() -> None:
    log = Log()
    log.marker("BEGIN", "0-1-7")
    log.row(3)
    for n in range(3):
        log.heartbeat(9000 + n)
    assert log.fold.place is None
    assert log.shown == []
    log.marker("END", "0-1-7")
    assert log.fold.place.position == Position(7, "0-1-7")


def test_a_record_between_them_is_no_idleness() -> None:
    quiet = Quiet()
    assert quiet.heartbeat(1, 1000) is None
    assert quiet.heartbeat(3, 2000) is None
    assert quiet.heartbeat(4, 3000) == 2000


def test_a_source_with_marks_needs_none() -> None:
    log = Log(has_marks=True)
    log.heartbeat(9000)
    log.heartbeat(10_000)
    assert log.fold.place is None


def test_a_truncate_is_a_transaction_of_its_own() -> None:
    log = Log()
    log.marker("BEGIN", "0-1-7")
    log.row(3)
    log.marker("END", "0-1-7")
    assert log.shown == [["on_hand", "3", "usable", "3"]]
    log.marker("BEGIN", "0-1-8")
    log.truncate("0-1-8")
    assert str(log.fold.place.position) == "0-1-8"
    assert [d.fields for d in log.fold.levels.documents()] == [[], []]
    log.heartbeat(9000)
    log.heartbeat(10_000)
    assert log.fold.place.quiet
