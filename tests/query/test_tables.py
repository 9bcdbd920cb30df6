"""Rows come, change and go: idempotent, whole or not at all, and nothing is kept that nobody refers to."""

import json

import msgspec
import pytest

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.query import BadValueError, MappingText, compile_source
from pipeline.query.values import (
    UNAVAILABLE,
    Memo,
    NotFiniteError,
    TooManyDecimalsError,
    UnavailableError,
    WrongTypeError,
    approximate,
    iso_date,
    iso_timestamp,
    scaled,
)
from tests.query.schemas import catalog_of, pack

DDL = """CREATE TABLE q (id int PRIMARY KEY, item int, "Lot no" text, n numeric(10,2), w double precision, due date);
         CREATE TABLE item (id int PRIMARY KEY, code text NOT NULL);"""
SQL = """SELECT q.item AS item_id, i.code AS item, 'W' AS warehouse, q."Lot no" AS lot, q.due AS expiry, q.n AS on_hand, q.w AS reserved
         FROM q JOIN item i ON i.id = q.item"""  # noqa: E501


@pytest.fixture
def engine(new_store):
    texts = [MappingText("stock", SQL, "stock.sql")]
    engine = compile_source(texts, catalog_of(DDL, "postgres"), {}, store=new_store())
    put(engine, "item", id=1, code="BOLT")
    return engine


def put(engine, table, schema="public", **row):
    fold = engine.tables[f"{schema}.{table}"]
    full = dict.fromkeys(fold.columns) | row
    fold.upsert(msgspec.json.decode(json.dumps(full | {"unneeded": 1}), type=fold.row_type))


def quant(engine, **row):
    put(engine, "q", **({"id": 1, "item": 1, "Lot no": "L", "n": "1.50", "w": 0.25, "due": "2026-11-22Z"} | row))


def groups(engine):
    return {key: (count, sums) for key, count, sums in engine.views["stock"].groups()}


KEY = (1, "BOLT", "W", "L", "2026-11-22")


def test_equal_row_is_no_news(engine):
    quant(engine)
    assert engine.views["stock"].drain() == [(KEY, 1, (150, 250_000_000))]
    quant(engine)
    assert engine.views["stock"].drain() == []


def test_child_before_parent_and_parents_change(engine):
    quant(engine, item=2)
    assert groups(engine) == {}
    put(engine, "item", id=2, code="NUT")
    assert list(groups(engine)) == [(2, "NUT", *KEY[2:])]
    put(engine, "item", id=2, code="NUTS")
    assert list(groups(engine)) == [(2, "NUTS", *KEY[2:])]
    assert {k[1]: c for k, c, _ in engine.views["stock"].drain()} == {"NUT": 0, "NUTS": 1}


def test_delete_and_truncate(engine):
    fold = engine.tables["public.q"]
    quant(engine)
    quant(engine, id=2)
    assert set(fold.pks()) == {1, 2}
    fold.delete(99)
    fold.delete(fold.pk(msgspec.json.decode(b'{"id": 2}', type=fold.key_type)))
    assert groups(engine) == {KEY: (1, (150, 250_000_000))}
    fold.clear()
    assert groups(engine) == {}
    assert list(fold.pks()) == []


def test_all_but_some_rows_are_forgotten(engine):
    fold = engine.tables["public.q"]
    for i in range(50):
        quant(engine, id=i)
    kept = engine.store.marks("q")
    for i in (3, 48, 99):
        kept.add(i)
    fold.keep_only(kept)
    assert set(fold.pks()) == {3, 48}
    assert len(fold.pks()) == 2
    assert groups(engine) == {KEY: (2, (300, 500_000_000))}
    assert 3 not in engine.store.marks("q")


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"n": "NaN"}, NotFiniteError),
        ({"n": "Infinity"}, NotFiniteError),
        ({"w": "NaN"}, NotFiniteError),
        ({"w": "-Infinity"}, NotFiniteError),
        ({"n": "1.005"}, TooManyDecimalsError),
        ({"n": "1E-9999999"}, TooManyDecimalsError),
        ({"n": "1E+999999999"}, WrongTypeError),
        ({"n": "one"}, WrongTypeError),
        ({"due": "2026-02-30Z"}, WrongTypeError),
        ({"due": "22.11.2026"}, WrongTypeError),
        ({"due": "2026-W47-7"}, WrongTypeError),
    ],
)
def test_bad_value_changes_nothing_and_names_its_column(engine, row, error):
    quant(engine)
    engine.views["stock"].drain()
    with pytest.raises(error) as refused:
        quant(engine, **row)
    (column,) = row
    assert str(refused.value).startswith(f"public.q.{column}: ")
    assert str(row[column]) not in str(refused.value)
    assert isinstance(refused.value, BadValueError)
    assert isinstance(refused.value, ValueError)
    assert engine.views["stock"].drain() == []
    assert groups(engine) == {KEY: (1, (150, 250_000_000))}


@pytest.mark.parametrize("row", [{"item": "x"}, {"id": None}, {"Lot no": 5}, {"n": True}])
def test_other_types_fail_while_decoding(engine, row):
    with pytest.raises(ValueError, match="Expected"):
        quant(engine, **row)


def test_unavailable_value_keeps_the_known_one(engine):
    quant(engine)
    quant(engine, n="2.00", **{"Lot no": UNAVAILABLE})
    assert groups(engine) == {KEY: (1, (200, 250_000_000))}
    with pytest.raises(UnavailableError, match=r"public.q.Lot no: left out"):
        quant(engine, id=2, **{"Lot no": UNAVAILABLE})
    assert set(engine.tables["public.q"].pks()) == {1}


def test_unique_key_taken_over_while_replayed(new_store):
    """A stale row owns a key for a moment; when it leaves again, the rightful owner is found."""
    ddl = """CREATE TABLE q (id int PRIMARY KEY, code text, n int); CREATE TABLE w (id int PRIMARY KEY, code text UNIQUE, name text);"""  # noqa: E501
    sql = "SELECT q.code AS item, w.name AS warehouse, q.n AS on_hand FROM q JOIN w ON w.code = q.code"
    texts = [MappingText("stock", sql, "stock.sql")]
    engine = compile_source(texts, catalog_of(ddl, "postgres"), {}, store=new_store())
    put(engine, "q", id=1, code="A", n=1)
    put(engine, "w", id=1, code="A", name="first")
    put(engine, "w", id=2, code="A", name="stale")
    put(engine, "w", id=2, code="B", name="second")
    assert list(groups(engine)) == [("A", "first")]


def test_today_touches_only_what_its_dates_say(new_store):
    catalog, texts, params = pack("tryton8")
    stock = [t for t in texts if t.kind == "stock"]
    engine = compile_source(stock, catalog, params, today="2026-11-01", store=new_store())
    put(engine, "stock_location", id=1, type="storage")
    for i, day in enumerate(["2026-10-01Z", "2026-11-10Z", "2026-12-01Z"]):
        row = {"product": i, "to_location": 1, "internal_quantity": 1.0, "planned_date": day, "company": 1}
        put(engine, "stock_move", id=i, state="done", **row)
    view = engine.views["stock"]
    assert {k[0] for k, *_ in view.drain()} == {0}
    engine.set_today("2026-11-10")
    assert {k[0] for k, *_ in view.drain()} == {1}
    engine.set_today("2026-11-01")
    assert {(k[0], count) for k, count, _ in view.drain()} == {(1, 0)}


def test_spellings_that_nothing_shows_are_forgotten(monkeypatch):
    from pipeline.query.values import Spellings

    monkeypatch.setattr(Spellings, "_FEW", 10)
    ddl = "CREATE TABLE q (id int PRIMARY KEY, t varchar(20))"
    text = MappingText("stock", "SELECT t AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "stock.sql")
    engine = compile_source([text], catalog_of(ddl, "mysql"), {})
    (fold,) = engine.tables.values()
    fold.upsert(fold.row_type(0, "Kept"))
    for i in range(100):
        fold.upsert(fold.row_type(1, f"x{i}"))
        engine.views["stock"].drain()
    assert len(engine._generator.names["SPELL_CASE_AND_PADDING"]) < 20
    fold.upsert(fold.row_type(2, "KEPT"))
    assert (("Kept", "W"), 2, (2,)) in list(engine.views["stock"].groups())


def test_memos_are_bounded(monkeypatch):
    monkeypatch.setattr("pipeline.query.values._MEMO_LIMIT", 5)
    memo = Memo(scaled(2))
    assert [memo[str(i)] for i in range(20)] == [i * 100 for i in range(20)]
    assert memo[None] is None
    assert len(memo) <= 5


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (scaled(4), "12345678901234567890123456789012.3456", 123456789012345678901234567890123456),
        (scaled(2), "-0.05", -5),
        (scaled(2), "1E+2", 10000),
        (scaled(2), 0.1, 10),
        (scaled(0), "-7", -7),
        (scaled(3), "0.000000", 0),
        (approximate, 0.1 + 0.2, 300000000),
        (approximate, "-1e-9", -1),
        (iso_date, "2026-11-22Z", "2026-11-22"),
        (iso_timestamp, "2026-11-22T10:00:00.500Z", "2026-11-22T10:00:00.5"),
        (iso_timestamp, "2026-11-22T10:00Z", "2026-11-22T10:00:00"),
    ],
)
def test_conversions(convert, value, expected):
    assert convert(value) == expected


def test_quoted_names_keep_their_capitals():
    ddl = """CREATE TABLE q (id int PRIMARY KEY, "Order" text, "user" int, n int);
             CREATE TABLE "Item" ("Id" int PRIMARY KEY)"""
    sql = """SELECT q."Order" AS item, i."Id" AS warehouse, q.n AS on_hand FROM q JOIN "Item" i ON i."Id" = q."user" """
    engine = compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, "postgres"), {})
    assert engine.captured == {"public.q": ("id", "Order", "user", "n"), "public.Item": ("Id",)}


def mysql_engine(sql, *columns):
    table = Table("erp.q", {c.name: c for c in (Column("id", "int(11)", nullable=False), *columns)}, ("id",))
    return compile_source([MappingText("stock", sql, "stock.sql")], Catalog.of("mysql", table), {})


@pytest.mark.parametrize("sent", ["true", "1"])
def test_a_boolean_of_mysql_comes_as_a_number_or_as_true_and_false(sent):
    sql = "SELECT CONCAT('is ', q.f) AS item, q.f AS warehouse, q.f AS on_hand FROM q WHERE q.f"
    engine = mysql_engine(sql, Column("f", "tinyint(1)"))
    fold = engine.tables["erp.q"]
    fold.upsert(msgspec.json.decode(f'{{"id": 1, "f": {sent}}}', type=fold.row_type))
    assert groups(engine) == {("is 1", 1): (1, (1,))}


def test_a_literal_is_spelled_by_the_collation_of_the_column_it_stands_under():
    sql = "SELECT q.t AS item, 1 AS warehouse, 1 AS on_hand FROM q UNION ALL SELECT 'A', 1, 1 FROM q"
    for collation, expected in (("utf8mb4_general_nopad_ci", ["A"]), ("utf8mb4_bin", ["A", "a"])):
        engine = mysql_engine(sql, Column("t", "varchar(9)", collation=collation))
        fold = engine.tables["erp.q"]
        fold.upsert(fold.row_type(id=1, t="a"))
        assert sorted(key[0] for key in groups(engine)) == expected


def test_a_char_of_mysql_is_compared_by_its_collation_alone():
    sql = "SELECT 'x' AS item, 'y' AS warehouse, 1 AS on_hand FROM q WHERE q.t = 'A '"
    for collation, found in (("utf8mb4_nopad_bin", 0), ("utf8mb4_bin", 1)):
        engine = mysql_engine(sql, Column("t", "char(3)", collation=collation))
        fold = engine.tables["erp.q"]
        fold.upsert(fold.row_type(id=1, t="A"))
        assert len(groups(engine)) == found


def test_a_text_made_of_literals_takes_the_collation_of_the_column_it_stands_under():
    sql = """SELECT q.t AS item, CASE WHEN CONCAT('a', UPPER('b')) = q.t THEN 1 END AS warehouse, 1 AS on_hand FROM q
             UNION ALL SELECT CONCAT('a', 7), 1, 1 FROM q"""
    engine = mysql_engine(sql, Column("t", "varchar(9)", collation="utf8mb4_nopad_bin"))
    fold = engine.tables["erp.q"]
    fold.upsert(fold.row_type(id=1, t="aB"))
    assert groups(engine) == {("aB", 1): (1, (1,)), ("a7", 1): (1, (1,))}


def test_a_bit_of_mysql_comes_from_its_driver_as_bytes():
    engine = mysql_engine("SELECT q.id AS item, q.b AS warehouse, 1 AS on_hand FROM q", Column("b", "bit(1)"))
    view = engine.views["stock"]
    assert [view.from_erp((1, v, 1, 1))[0] for v in (b"\0", b"\1", None)] == [(1, False), (1, True), (1, None)]
