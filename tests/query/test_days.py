"""The day turns: what counts otherwise from then on, and how few rows are looked at for it."""

from typing import Any

import pytest

from pipeline.query import MappingText, compile_source
from pipeline.query.rows import MemoryStore
from tests.query.schemas import catalog_of
from tests.query.test_tables import groups, put

DDL = """CREATE TABLE move (id int PRIMARY KEY, doc int, due date, upto date, day varchar(8), at timestamp, n int);
         CREATE TABLE doc (id int PRIMARY KEY, due date);"""
ROWS = "SELECT 'RIM' AS item, 'W' AS warehouse, m.n AS on_hand FROM move m"
DUE = f"{ROWS} WHERE m.due <= CURRENT_DATE"


class Rows(dict[Any, Any]):
    """Remembers how often all of them were looked at."""

    looks = 0

    def values(self):
        self.looks += 1
        return super().values()


class Watched(MemoryStore):
    def __init__(self):
        self.tables = {}

    def rows(self, name, columns):
        self.tables[name] = Rows()
        return self.tables[name]

    @property
    def looks(self):
        return self.tables["public.move"].looks


@pytest.fixture
def store():
    return Watched()


def compiled(sql, store=None, today="2026-11-22"):
    texts = [MappingText("stock", sql, "stock.sql")]
    return compile_source(texts, catalog_of(DDL, "postgres"), {}, today=today, store=store)


def total(engine):
    return sum(sums[0] for _, sums in groups(engine).values())


def on_days(engine, *days):
    totals = []
    for day in days:
        engine.set_today(day)
        totals.append(total(engine))
    return totals


def test_later_days_find_their_rows_by_date(store):
    engine = compiled(DUE, store)
    for i, due in enumerate(["2026-11-22Z", "2026-11-23Z", "2026-11-23Z", "2026-11-25Z", None, "9999-12-31Z"]):
        put(engine, "move", id=i, due=due, n=10**i)
    assert on_days(engine, "2026-11-22", "2026-11-23") == [1, 111]
    assert store.looks == 2  # for what turns, and for what is kept by its date from now on
    put(engine, "move", id=6, due="2026-11-24Z", n=10**6)
    put(engine, "move", id=1, due="2026-11-26Z", n=10)
    put(engine, "move", id=7, due="2026-11-26Z", n=10**7)
    engine.tables["public.move"].delete(7)
    assert on_days(engine, "2026-11-24", "2026-11-25", "2026-11-26", "2027-05-01") == [
        1_000_101, 1_001_101, 1_001_111, 1_001_111,
    ]  # fmt: skip
    assert store.looks == 2


def test_all_rows_are_looked_at_when_the_day_goes_back_and_in_the_second_year(store):
    engine = compiled(DUE, store)
    for i, due in enumerate(["2026-11-22Z", "2028-01-01Z"]):
        put(engine, "move", id=i, due=due, n=10**i)
    engine.set_today("2026-11-24")
    before = store.looks
    assert on_days(engine, "2026-11-21", "2026-11-22", "2027-12-31") == [0, 1, 1]
    assert store.looks == before + 2
    assert on_days(engine, "2028-01-01", "2030-01-01") == [11, 11]
    assert store.looks == before + 6


def test_rows_from_before_the_first_day(new_store):
    engine = compiled(DUE, new_store(), today="1970-01-01")
    for i, due in enumerate(["2026-11-21Z", "2026-11-23Z", None]):
        put(engine, "move", id=i, due=due, n=10**i)
    assert on_days(engine, "2026-11-22", "2026-11-23") == [1, 11]


@pytest.mark.parametrize(
    ("where", "row", "counts"),
    [
        ("m.due < CURRENT_DATE", {"due": "2026-11-23Z"}, [0, 0, 1]),
        ("NOT CURRENT_DATE <= (m.due)", {"due": "2026-11-23Z"}, [0, 0, 1]),
        ("CURRENT_DATE BETWEEN m.due AND m.upto", {"due": "2026-11-24Z", "upto": "2026-11-24Z"}, [0, 0, 1]),
        ("COALESCE(m.due, m.upto) <= CURRENT_DATE", {"upto": "2026-11-24Z"}, [0, 0, 1]),
        ("m.at <= CURRENT_DATE", {"at": "2026-11-23T00:00:01Z"}, [0, 0, 1]),
        ("m.at BETWEEN CURRENT_DATE AND CAST('2026-11-24' AS date)", {"at": "2026-11-23T00:00:00Z"}, [1, 1, 0]),
        ("m.day = TO_CHAR(CURRENT_DATE, 'YYYYMMDD')", {"day": "20261124"}, [0, 0, 1]),
        ("""m.day COLLATE "C" <= TO_CHAR(CURRENT_DATE, 'YYYYMMDD')""", {"day": "20261124"}, [0, 0, 1]),
    ],
)
def test_a_row_counts_otherwise_from_its_day_on(where, row, counts, store):
    engine = compiled(f"{ROWS} WHERE {where}", store)
    engine.set_today("2026-11-22")
    engine.set_today("2026-11-21")
    looks = store.looks
    put(engine, "move", id=1, n=1, **row)
    assert on_days(engine, "2026-11-22", "2026-11-23", "2026-11-24") == counts
    assert store.looks == looks


JOINED = "SELECT 'RIM' AS item, 'W' AS warehouse, m.n AS on_hand FROM move m LEFT JOIN doc d ON d.id = m.doc"


def test_the_date_of_a_joined_row(store):
    engine = compiled(f"{JOINED} WHERE d.due <= CURRENT_DATE", store)
    engine.set_today("2026-11-21")
    looks = store.looks
    put(engine, "doc", id=1, due="2026-11-23Z")
    put(engine, "move", id=1, doc=1, n=1)
    put(engine, "move", id=2, doc=2, n=10)
    put(engine, "move", id=3, doc=1, n=100)
    put(engine, "doc", id=2, due="2026-11-24Z")
    assert on_days(engine, "2026-11-22", "2026-11-23", "2026-11-24") == [0, 101, 111]
    assert store.looks == looks


@pytest.mark.parametrize(
    "where",
    [
        "COALESCE(d.due, CAST('2026-11-23' AS date)) <= CURRENT_DATE",  # of a row that is not there, too
        "COALESCE(d.due, m.due) <= CURRENT_DATE",
        "CASE WHEN m.due IS NULL THEN CURRENT_DATE ELSE m.due END >= CAST('2026-11-23' AS date)",
        "CAST('2026-11-23' AS date) <= CURRENT_DATE",
    ],
)
def test_other_uses_of_today_look_at_all_rows(where, store):
    engine = compiled(f"{JOINED} WHERE {where}", store)
    put(engine, "move", id=1, due=None if "CASE" in where or "-23' AS date))" in where else "2026-11-23Z", n=1)
    looks = store.looks
    assert on_days(engine, "2026-11-21", "2026-11-22", "2026-11-23") == [0, 0, 1]
    assert store.looks >= looks + 3
