"""What is left of a row that cannot be read, what it concerns, and remembered rows as the connector sends them."""

import math

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.query import MappingText, compile_source
from pipeline.query.values import UNAVAILABLE, approximate
from tests.query.schemas import catalog_of

DDL = """CREATE TABLE item (id int PRIMARY KEY, code text, factor numeric(10,3) NOT NULL);
         CREATE TABLE quant (id bigint, org int, item int, "Lot no" text, n numeric, w double precision,
                             m numeric(9,2), due date, at timestamp, yes boolean NOT NULL, doc jsonb, c char(3),
                             PRIMARY KEY (id, org))"""
SQL = """SELECT q.item AS item_id, i.code AS item, q.c AS warehouse, q."Lot no" AS lot, q.n * i.factor AS on_hand,
                CASE WHEN q.yes AND q.at IS NULL THEN q.m ELSE 0 END AS reserved
         FROM quant q JOIN item i ON i.id = q.item
         WHERE (q.due IS NULL OR q.due <= DATE '2026-11-22') AND q.w IS NOT NULL AND (q.doc ->> 'x') IS NULL"""


def new_engine():
    return compile_source([MappingText("stock", SQL, "stock.sql")], catalog_of(DDL, "postgres"), {})


ENGINE = new_engine()
QUANT = ENGINE.tables["public.quant"]
SENT = {
    "id": 1, "org": 2, "item": 3, "Lot no": "L", "n": "1.5", "w": 0.1, "m": "2.00", "due": "2026-01-01Z",
    "at": "2026-01-01T10:00:00Z", "yes": True, "doc": '{"a":1}', "c": "W  ",
}  # fmt: skip
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
rows = st.fixed_dictionaries({
    "id": st.integers(-(2**63), 2**63 - 1), "org": st.integers(0, 9), "item": st.none() | st.integers(0, 9),
    "Lot no": texts, "n": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=12).map(str),
    "w": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "m": st.none() | st.decimals(-9999999, 9999999, places=2).map(str), "due": st.none() | st.dates().map(str),
    "at": st.none() | st.datetimes().map(lambda t: t.isoformat() + "Z"), "yes": st.booleans(),
    "doc": st.none() | st.just('{"a": 1.0}'), "c": texts,
})  # fmt: skip


def read(sent):
    QUANT.upsert(msgspec.json.decode(msgspec.json.encode(sent), type=QUANT.row_type))
    return QUANT.remembered((sent["id"], sent["org"]))


@given(rows)
def test_a_remembered_row_as_it_is_sent_is_the_same_row(sent) -> None:
    try:
        assume(sent["w"] is None or approximate(sent["w"]) is not None)
    except ValueError:
        assume(False)
    row = read(sent)
    assert read(QUANT.as_sent(row)) == row
    assert QUANT.salvage(QUANT.as_sent(row), None) == (row, frozenset())


def test_doubles_come_back_where_they_are_sparse() -> None:
    x = 12_345_678.9
    for _ in range(2000):
        x = math.nextafter(x * 1.013, math.inf)
        if x > 1e280:
            break
        row = read(SENT | {"w": x})
        assert read(QUANT.as_sent(row)) == row


BAD = {"id": "x", "item": 1.5, "Lot no": 7, "n": "NaN", "w": [], "m": "1.234", "due": "soon", "at": 5, "yes": None}


@pytest.mark.parametrize("column", BAD)
def test_a_column_that_cannot_be_read_is_as_it_was_and_the_others_are_new(column: str) -> None:
    held, fresh = read(SENT), read(SENT | {"org": 5, "n": "9", "Lot no": "M", "at": None})
    row, unread = QUANT.salvage(QUANT.as_sent(fresh) | {column: BAD[column]}, held)
    at = QUANT.columns.index(column)
    assert (len(unread), row[at]) == (1, held[at])
    assert row[:at] + row[at + 1 :] == fresh[:at] + fresh[at + 1 :]
    without = {name: value for name, value in QUANT.as_sent(fresh).items() if name != column}
    assert QUANT.salvage(without, None)[1] == unread


def test_what_the_connector_left_out_is_as_it_was() -> None:
    held = read(SENT)
    assert QUANT.salvage(SENT | {"Lot no": UNAVAILABLE}, held) == (held, frozenset())
    assert len(QUANT.salvage(SENT | {"Lot no": UNAVAILABLE}, None)[1]) == 1


def test_which_columns_decide_and_which_are_amounts_only() -> None:
    quant = ENGINE.concern("public.quant", "stock")
    assert quant.deciding == {"id", "org", "item", "c", "Lot no", "due", "w", "doc"}
    assert not quant.deciding & {"n", "m", "yes", "at"}
    assert ENGINE.concern("public.item", "stock").deciding == {"id", "code"}
    assert quant.watched == {"public.item"}
    assert ENGINE.concern("public.item", "stock").watched == {"public.item", "public.quant"}


def test_asking_what_a_row_concerns_changes_nothing() -> None:
    engine = new_engine()
    tables, view = engine.tables, engine.views["stock"]
    item, quant = tables["public.item"], tables["public.quant"]
    item.upsert(item.row_type(id=3, code="A", factor="2.000"))
    for n in (1, 2):
        sent = SENT | {"id": n, "Lot no": f"L{n}"}
        quant.upsert(msgspec.convert(sent, quant.row_type))
    view.drain()
    before, source = list(view.groups()), engine.source
    old = item.remembered(3)
    new = item.salvage({"id": 3, "code": "B", "factor": "x"}, old)[0]
    keys, looked = engine.concern("public.item", "stock").groups(3, old, new, 10)
    assert keys == {(3, code, "W", lot) for code in "AB" for lot in ("L1", "L2")}
    assert looked == 3
    assert engine.concern("public.item", "stock").groups(3, old, new, 2) == (set(), 3)
    row = quant.remembered((1, 2))
    assert engine.concern("public.quant", "stock").groups((1, 2), row, None, 10) == ({(3, "A", "W", "L1")}, 1)
    assert (view.drain(), list(view.groups()), engine.source, item.remembered(3)) == ([], before, source, old)
