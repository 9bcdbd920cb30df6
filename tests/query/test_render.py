"""The text for the ERP is the author's own, wrapped to one row a key."""

import datetime

from pipeline.query import MappingText, compile_source
from tests.query.schemas import catalog_of, pack

DDL = "CREATE TABLE q (id int PRIMARY KEY, item varchar(9), n decimal(9,2), d date)"


def erp_sql(sql: str, dialect: str = "postgres", **params) -> str:
    return (
        compile_source([MappingText("stock", sql, "s.sql")], catalog_of(DDL, dialect), params).views["stock"].erp_sql()
    )


def test_with_is_hoisted_and_the_text_kept():
    sql = "WITH m AS (SELECT * FROM q) -- all\nSELECT m.item AS item, N'W' AS warehouse, m.n AS on_hand FROM m ;\n"
    assert erp_sql(sql, "tsql") == (
        "WITH m AS (SELECT * FROM q)SELECT q.item, q.warehouse, COUNT(*), SUM(q.on_hand) FROM (\n"
        "-- all\nSELECT m.item AS item, N'W' AS warehouse, m.n AS on_hand FROM m\n) q GROUP BY q.item, q.warehouse"
    )


def test_parameters_are_literals_of_the_dialect():
    sql = "SELECT item, item AS warehouse, n AS on_hand FROM q WHERE item IN (:a) AND item <> :b AND d > :c AND n > :e"
    given = {"a": ["x'y", "\\"], "b": "z", "c": datetime.date(2026, 1, 2), "e": -1}
    assert "IN ('x''y', '\\') AND item <> 'z' AND d > DATE '2026-01-02' AND n > -1\n" in erp_sql(sql, **given)
    assert "IN ('x''y', '\\\\')" in erp_sql(sql, "mysql", **given)
    assert "d > CAST('2026-01-02' AS date)" in erp_sql(sql, "tsql", **given)
    assert "item <> N'Zürich' AND" in erp_sql(sql, "tsql", **given | {"b": "Zürich"})


def test_casts_are_not_taken_for_parameters():
    assert "d::text AS warehouse" in erp_sql(
        "SELECT item, item AS warehouse, n::numeric(9,2) AS on_hand FROM q"
    ).replace("item AS warehouse, n::numeric(9,2)", "d::text AS warehouse, n")
    assert "n::numeric(9,2)" in erp_sql("SELECT item, item AS warehouse, n::numeric(9,2) AS on_hand FROM q")


def test_arms_that_group_say_how_many_rows_they_had():
    sql = """SELECT item, item AS warehouse, SUM(n) AS on_hand FROM q GROUP BY item
             UNION ALL SELECT item, 'W', n FROM q"""
    text = erp_sql(sql)
    assert ", COUNT(*) AS onhand_rows FROM q GROUP BY item" in text
    assert ", 1 AS onhand_rows FROM q" in text
    assert text.startswith("SELECT q.item, q.warehouse, SUM(q.onhand_rows), SUM(q.on_hand)")


def test_an_arm_of_one_sum_says_how_many_rows_it_had():
    text = erp_sql(
        "SELECT 'x' AS item, 'W' AS warehouse, SUM(n) AS on_hand FROM q UNION ALL SELECT item, 'W', n FROM q"
    )
    assert "SUM(n) AS on_hand, COUNT(*) AS onhand_rows FROM q" in text
    assert ", 1 AS onhand_rows FROM q" in text
    assert text.endswith("GROUP BY q.item, q.warehouse HAVING SUM(q.onhand_rows) > 0")


def test_answers_compare_equal_whatever_the_driver_yields():
    catalog, texts, params = pack("odoo17")
    view = compile_source(texts, catalog, params).views["orders"]
    key = [7, "MO1", "7/3", "P", 3, "P", 1, "WH", datetime.date(2026, 11, 22), "released"]
    from decimal import Decimal

    answer = view.from_erp([*key, 2, Decimal("1.5000"), None, Decimal("0E-20")])
    key[8] = "2026-11-22"
    assert view.from_erp([*key, 2, "1.5000", None, 0]) == answer
    assert answer == ((7, "MO1", "7/3", "P", 3, "P", 1, "WH", "2026-11-22", "released"), 2, (15 * 10**11, 0, 0))
