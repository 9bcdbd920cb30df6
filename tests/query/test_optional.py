"""A column that a site lacks is read as NULL; one that it has is left alone."""

# ruff: noqa: E501 -- statements stand on one line

import pytest

from pipeline.query import MappingText, catalog_of, compile_source
from pipeline.query.optional import without_missing

DDL = "CREATE TABLE q (id int PRIMARY KEY, item varchar(9), n decimal(9,2){}); CREATE TABLE w (id int PRIMARY KEY, code varchar(9))"
OPTIONAL = {"q.owner": "varchar(9)", "q.place": "int", "gone.x": "int"}


def rewritten(sql: str, dialect: str = "postgres", more: str = "") -> str:
    catalog = catalog_of(DDL.format(more), dialect)
    text = without_missing(MappingText("stock", sql, "stock.sql"), catalog, OPTIONAL)
    compile_source([text], catalog, {})
    return text.sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT q.item, 'W' AS warehouse, q.owner, q.n AS on_hand FROM q",
         "SELECT q.item, 'W' AS warehouse, CAST(NULL AS varchar(9)) AS owner, q.n AS on_hand FROM q"),
        ("SELECT item, 'W' AS warehouse, COALESCE(owner, 'us') AS owner, n AS on_hand FROM q WHERE owner IS NULL",
         "SELECT item, 'W' AS warehouse, COALESCE(CAST(NULL AS varchar(9)), 'us') AS owner, n AS on_hand FROM q WHERE CAST(NULL AS varchar(9)) IS NULL"),
        ("SELECT b.item, w.code AS warehouse, b.n AS on_hand FROM q b LEFT JOIN w ON w.id = b.place",
         "SELECT b.item, w.code AS warehouse, b.n AS on_hand FROM q b LEFT JOIN w ON w.id = CAST(NULL AS int)"),
        ("WITH p AS (SELECT item, owner, n FROM q) SELECT p.item, p.owner AS warehouse, p.n AS on_hand FROM p",
         "WITH p AS (SELECT item, CAST(NULL AS varchar(9)) AS owner, n FROM q) SELECT p.item, p.owner AS warehouse, p.n AS on_hand FROM p"),
    ],
)  # fmt: skip
def test_a_missing_column_is_null(sql, expected):
    assert rewritten(sql) == expected


def test_a_column_that_is_there_is_read():
    sql = "SELECT q.item, 'W' AS warehouse, q.owner, q.n AS on_hand FROM q"
    assert rewritten(sql, more=", owner varchar(9)") == sql
    assert rewritten(sql.replace("q.owner", "Q.OWNER"), "oracle", ", owner varchar(9)").count("Q.OWNER") == 1


def test_names_ignore_case_where_the_dialect_does():
    assert "CAST(NULL AS varchar(9)) AS OWNER" in rewritten(
        "SELECT q.item, 'W' AS warehouse, Q.OWNER, q.n AS on_hand FROM q", "tsql"
    )


def test_a_text_that_cannot_be_read_is_left_to_the_compiler():
    text = MappingText("stock", "SELECT (", "stock.sql")
    assert without_missing(text, catalog_of(DDL.format(""), "postgres"), OPTIONAL) is text
