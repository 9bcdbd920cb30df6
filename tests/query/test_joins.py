"""Joined rows come, change and go in any order: each kind of join by itself, so that a failure names it."""

from itertools import permutations

import pytest

from pipeline.query import MappingText, compile_source
from pipeline.query.values import UNAVAILABLE
from tests.query.schemas import catalog_of
from tests.query.test_tables import groups, put

CHAIN = """CREATE TABLE entry (id int PRIMARY KEY, lot int, q int);
           CREATE TABLE lot (id int PRIMARY KEY, item text, place int);
           CREATE TABLE place (id int PRIMARY KEY, code text, house int);
           CREATE TABLE house (id int PRIMARY KEY, code text);"""
CHAIN_SQL = """SELECT l.item AS item, h.code AS warehouse, p.code AS location, e.q AS on_hand
               FROM entry e JOIN lot l ON l.id = e.lot JOIN place p ON p.id = l.place JOIN house h ON h.id = p.house"""
ROWS = {
    "entry": {"id": 1, "lot": 2, "q": 5},
    "lot": {"id": 2, "item": "RIM", "place": 3},
    "place": {"id": 3, "code": "A1", "house": 4},
    "house": {"id": 4, "code": "WH"},
}
WHOLE = {("RIM", "WH", "A1"): (1, (5,))}


def compiled(ddl, sql, store=None):
    return compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, "postgres"), {}, store=store)


def gone(engine, table, pk):
    engine.tables[f"public.{table}"].delete(pk)


@pytest.mark.parametrize("order", list(permutations(ROWS)), ids="-".join)
def test_chain_of_four_in_any_order(order):
    engine = compiled(CHAIN, CHAIN_SQL)
    for table in order:
        assert groups(engine) == {}
        put(engine, table, **ROWS[table])
    assert groups(engine) == WHOLE
    for table in order:
        gone(engine, table, ROWS[table]["id"])
        assert groups(engine) == {}
        put(engine, table, **ROWS[table])
        assert groups(engine) == WHOLE


@pytest.mark.parametrize("missing", ROWS)
def test_chain_of_four_with_a_link_deleted_and_created_otherwise(missing):
    engine = compiled(CHAIN, CHAIN_SQL)
    for table, row in ROWS.items():
        put(engine, table, **row)
    gone(engine, missing, ROWS[missing]["id"])
    others = {
        "entry": ({"q": 7}, ("RIM", "WH", "A1"), 7),
        "lot": ({"item": "HUB"}, ("HUB", "WH", "A1"), 5),
        "place": ({"code": "B2"}, ("RIM", "WH", "B2"), 5),
        "house": ({"code": "XX"}, ("RIM", "XX", "A1"), 5),
    }
    changed, key, quantity = others[missing]
    put(engine, missing, **(ROWS[missing] | changed))
    assert groups(engine) == {key: (1, (quantity,))}
    drained = {k: (count, sums) for k, count, sums in engine.views["stock"].drain()}
    assert drained[key] == (1, (quantity,))
    assert all(figures == (0, (0,)) for k, figures in drained.items() if k != key)


def test_link_of_a_chain_moved_elsewhere_and_back():
    engine = compiled(CHAIN, CHAIN_SQL)
    for table, row in ROWS.items():
        put(engine, table, **row)
    put(engine, "place", id=3, code="A1", house=9)
    assert groups(engine) == {}
    put(engine, "house", id=9, code="NEW")
    assert list(groups(engine)) == [("RIM", "NEW", "A1")]
    put(engine, "place", id=3, code="A1", house=4)
    assert groups(engine) == WHOLE


def test_self_join_where_one_row_is_root_and_parent():
    ddl = "CREATE TABLE place (id int PRIMARY KEY, parent int, code text, n int);"
    sql = """SELECT p.code AS item, up.code AS warehouse, p.n + COALESCE(up.n, 0) AS on_hand
             FROM place p LEFT JOIN place up ON up.id = p.parent"""
    engine = compiled(ddl, sql)
    put(engine, "place", id=1, parent=1, code="OWN", n=1)
    assert groups(engine) == {("OWN", "OWN"): (1, (2,))}
    put(engine, "place", id=2, parent=1, code="SUB", n=10)
    put(engine, "place", id=1, parent=2, code="OWN", n=2)
    assert groups(engine) == {("OWN", "SUB"): (1, (12,)), ("SUB", "OWN"): (1, (12,))}
    gone(engine, "place", 1)
    assert groups(engine) == {("SUB", None): (1, (10,))}
    put(engine, "place", id=1, parent=None, code="OWN", n=3)
    assert groups(engine) == {("OWN", None): (1, (3,)), ("SUB", "OWN"): (1, (13,))}


def test_left_join_whose_condition_turns():
    ddl = """CREATE TABLE q (id int PRIMARY KEY, item int, n int);
             CREATE TABLE item (id int PRIMARY KEY, code text, active boolean);"""
    sql = """SELECT i.code AS item, 'W' AS warehouse, q.n AS on_hand
             FROM q LEFT JOIN item i ON i.id = q.item AND i.active AND q.n > 1"""
    engine = compiled(ddl, sql)
    put(engine, "q", id=1, item=1, n=2)
    assert groups(engine) == {(None, "W"): (1, (2,))}
    put(engine, "item", id=1, code="RIM", active=True)
    assert groups(engine) == {("RIM", "W"): (1, (2,))}
    put(engine, "item", id=1, code="RIM", active=False)
    assert groups(engine) == {(None, "W"): (1, (2,))}
    put(engine, "item", id=1, code="RIM", active=True)
    put(engine, "q", id=1, item=1, n=1)
    assert groups(engine) == {(None, "W"): (1, (1,))}


def test_unique_key_that_is_not_the_primary_key():
    ddl = """CREATE TABLE q (id int PRIMARY KEY, code text, n int);
             CREATE TABLE house (id int PRIMARY KEY, code text UNIQUE, name text);"""
    engine = compiled(
        ddl, "SELECT q.code AS item, h.name AS warehouse, q.n AS on_hand FROM q JOIN house h ON h.code = q.code"
    )
    put(engine, "q", id=1, code="A", n=1)
    put(engine, "house", id=1, code="B", name="north")
    assert groups(engine) == {}
    put(engine, "house", id=1, code="A", name="north")
    assert groups(engine) == {("A", "north"): (1, (1,))}
    gone(engine, "house", 1)
    put(engine, "house", id=2, code="A", name="south")
    assert groups(engine) == {("A", "south"): (1, (1,))}
    put(engine, "house", id=2, code=None, name="south")
    assert groups(engine) == {}


COMPUTED = """CREATE TABLE q (id int PRIMARY KEY, lot varchar(9), doc int, line int, n int);
              CREATE TABLE batch (id int PRIMARY KEY, code varchar(9) NOT NULL UNIQUE, item text, house text);
              CREATE TABLE house (code varchar(9) PRIMARY KEY, name text);"""
CHAINED = """SELECT b.item AS item, h.name AS warehouse, q.n AS on_hand
             FROM q JOIN batch b ON b.code = TRIM(q.lot) LEFT JOIN house h ON UPPER(b.house) = h.code"""


def test_computed_keys_in_a_chain(new_store):
    engine = compiled(COMPUTED, CHAINED, store=new_store())
    put(engine, "q", id=1, lot=" A ", n=5)
    assert groups(engine) == {}
    put(engine, "batch", id=1, code="A", item="RIM", house="wh")
    assert groups(engine) == {("RIM", None): (1, (5,))}
    put(engine, "house", code="WH", name="north")
    assert groups(engine) == {("RIM", "north"): (1, (5,))}
    put(engine, "batch", id=1, code="A", item="RIM", house="Wh")
    assert groups(engine) == {("RIM", "north"): (1, (5,))}
    put(engine, "q", id=1, lot="A", n=5)
    put(engine, "house", code="WH", name="south")
    assert groups(engine) == {("RIM", "south"): (1, (5,))}
    put(engine, "q", id=1, lot=None, n=5)
    put(engine, "house", code="WH", name="west")
    assert groups(engine) == {}
    put(engine, "q", id=1, lot="A  ", n=5)
    gone(engine, "batch", 1)
    assert groups(engine) == {}


def test_a_left_out_value_does_not_change_what_is_computed_from_it(new_store):
    engine = compiled(COMPUTED.replace("lot varchar(9)", "lot text"), CHAINED, store=new_store())
    put(engine, "batch", id=1, code="A", item="RIM", house=None)
    put(engine, "q", id=1, lot=" A", n=5)
    put(engine, "q", id=1, lot=UNAVAILABLE, n=6)
    assert groups(engine) == {("RIM", None): (1, (6,))}


def test_one_row_of_a_table_joined_to_itself_by_a_computed_key():
    ddl = "CREATE TABLE place (id int PRIMARY KEY, up int, other int, code text, n int);"
    sql = """SELECT p.code AS item, a.code AS warehouse, p.n AS on_hand
             FROM place p LEFT JOIN place a ON a.id = COALESCE(p.up, p.other)"""
    engine = compiled(ddl, sql)
    put(engine, "place", id=1, other=1, code="OWN", n=1)
    assert groups(engine) == {("OWN", "OWN"): (1, (1,))}
    put(engine, "place", id=2, up=1, other=2, code="SUB", n=2)
    put(engine, "place", id=1, up=2, other=1, code="TOP", n=1)
    assert groups(engine) == {("TOP", "SUB"): (1, (1,)), ("SUB", "TOP"): (1, (2,))}
    gone(engine, "place", 1)
    assert groups(engine) == {("SUB", None): (1, (2,))}


def test_a_computed_part_of_a_key_beside_a_column_and_a_constant():
    ddl = """CREATE TABLE q (id int PRIMARY KEY, item int, serial text, n int);
             CREATE TABLE batch (org int, item int, no text, code text, PRIMARY KEY (org, item, no));"""
    sql = """SELECT b.code AS item, 'W' AS warehouse, q.n AS on_hand
             FROM q JOIN batch b ON b.item = q.item AND b.no = SUBSTRING(q.serial, 1, 2) AND -1 = b.org"""
    engine = compiled(ddl, sql)
    put(engine, "q", id=1, item=7, serial="B1-0004", n=5)
    put(engine, "batch", org=-1, item=7, no="B1", code="LEAD")
    assert groups(engine) == {("LEAD", "W"): (1, (5,))}
    put(engine, "batch", org=-1, item=7, no="B1", code="ZINC")
    assert groups(engine) == {("ZINC", "W"): (1, (5,))}


def test_a_computed_key_is_compared_by_the_collation_of_the_key():
    ddl = """CREATE TABLE q (id int PRIMARY KEY, lot varchar(9), n int);
             CREATE TABLE batch (id int PRIMARY KEY, code varchar(9) NOT NULL UNIQUE, item varchar(9));"""
    sql = """SELECT b.item AS item, 'W' AS warehouse, q.n AS on_hand
             FROM q JOIN batch b ON b.code = CONCAT(q.lot, '/', q.n)"""
    engine = compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, "mysql"), {})
    rows = (("q", {"id": 1, "lot": "a", "n": 5}), ("batch", {"id": 1, "code": "A/5 ", "item": "RIM"}))
    for table, row in rows:
        put(engine, table, schema="erp", **row)
    assert groups(engine) == {("RIM", "W"): (1, (5,))}


def test_a_column_is_a_key_rather_than_an_expression():
    sql = CHAINED.replace("TRIM(q.lot)", "COALESCE(q.lot, 'x') AND b.id = q.doc")
    engine = compiled(COMPUTED, sql)
    put(engine, "batch", id=1, code="A", item="RIM", house=None)
    put(engine, "q", id=1, lot="A", doc=1, n=5)
    put(engine, "q", id=2, lot="A", doc=2, n=5)
    put(engine, "q", id=3, lot="B", doc=1, n=5)
    assert groups(engine) == {("RIM", None): (1, (5,))}
    assert "def derive_T0" not in engine.source
