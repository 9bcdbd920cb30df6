"""What is not exact is refused when the pack loads: where, what, and how to write it instead."""

import pytest

from pipeline.domain.errors import PackError
from pipeline.query import MappingText, compile_source
from tests.query.schemas import catalog_of, pack

DDL = """CREATE TABLE q (id int PRIMARY KEY, item text, wh text, n numeric(10,2), d double precision, at timestamp, at_tz timestamptz, doc jsonb, ref int, flag boolean, name varchar(5));
         CREATE TABLE w (id int PRIMARY KEY, code text, name varchar(5), k numeric(5,2));
         CREATE TABLE two (a int, b int, code text, PRIMARY KEY (a, b));"""  # fmt: skip # noqa: E501
BASE = "SELECT q.item AS item, q.wh AS warehouse, {} AS on_hand\nFROM q"

# SQL, place, words of the refusal, words of the fix
CASES = [
    ("SELECT DISTINCT q.item AS item, q.wh AS warehouse, q.n AS on_hand FROM q", "1:8", "DISTINCT", "remove it"),
    (BASE.format("q.n") + "\nWHERE q.item LIKE 'A%'", "3:14", "LIKE", "SUBSTRING"),
    (BASE.format("q.n") + "\nORDER BY 1", "3:1", "ORDER", "remove it"),
    (BASE.format("q.n") + " LIMIT 5", "2:8", "LIMIT", "remove it"),
    (BASE.format("q.n / 2"), "1:47", "/ is not part", "multiply"),
    (BASE.format("ROUND(q.n, 2)"), "1:43", "ROUND", "exactly"),
    (BASE.format("COUNT(*)"), "1:43", "COUNT", "added by onhand"),
    (BASE.format("MAX(q.n)"), "1:43", "MAX", "added by onhand"),
    (BASE.format("SUM(q.n) OVER (PARTITION BY q.item)"), "1:52", "OVER", "added by onhand"),
    (BASE.format("SUM(q.n)") + " GROUP BY q.item, q.wh HAVING SUM(q.n) > 0", "2:30", "HAVING", "WHERE"),
    (BASE.format("SUM(q.n)") + " GROUP BY q.item", "2:19", "GROUP BY must list", "drop SUM and GROUP BY"),
    (BASE.format("q.n") + "\nUNION " + BASE.format("q.n"), "3:1", "UNION without ALL", "UNION ALL"),
    (BASE.format("(SELECT id FROM w)"), "1:", "a subquery as a value", "JOIN"),
    (BASE.format("q.n") + " WHERE EXISTS (SELECT 1 FROM w)", "2:14", "EXISTS", "JOIN"),
    (BASE.format("q.n") + " WHERE q.ref IN (SELECT id FROM w)", "2:16", "IN (subquery)", "JOIN"),
    (BASE.format("q.n") + " WHERE q.at < NOW()", "2:21", "NOW", "CURRENT_DATE"),
    (BASE.format("q.n") + " WHERE q.at < CURRENT_TIMESTAMP", "2:21", "CURRENT_TIMESTAMP", "CURRENT_DATE"),
    (BASE.format("q.n") + " RIGHT JOIN w ON w.id = q.ref", "2:8", "RIGHT", "LEFT JOIN"),
    (BASE.format("q.n") + " FULL JOIN w ON w.id = q.ref", "2:8", "FULL", "UNION ALL"),
    (BASE.format("q.n") + " CROSS JOIN w", "2:8", "CROSS", "ON its whole primary"),
    (BASE.format("q.n") + ", w", "2:9", "only [INNER] JOIN", "ON its primary"),
    (BASE.format("q.n") + " JOIN w ON w.code = q.item", "2:", "does not cover a key", "(id)"),
    (BASE.format("q.n") + " JOIN two ON two.a = q.ref", "2:", "does not cover a key", "(a, b)"),
    (BASE.format("q.n") + " JOIN w ON w.id = 7", "2:", "one other table", "params"),
    (BASE.format("q.n") + " JOIN w ON w.id = q.n", "2:", "does not cover|another type", ""),
    (BASE.format("q.n") + " JOIN w ON w.id = q.n * 1", "2:31", "public.w.id is joined with another type", "one type"),
    (BASE.format("q.n") + " JOIN w ON w.id = TRIM(q.n)", "2:", "a text function on a number", "text columns"),
    (BASE.format("q.n") + " JOIN w ON TRIM(w.code) = q.item", "2:", "does not cover a key", "over one other table"),
    (BASE.format("q.n") + " JOIN w ON w.id = COALESCE(q.ref, w.id)", "2:", "does not cover a key", "one other table"),
    (
        BASE.format("q.n") + " JOIN w ON w.id = q.ref JOIN two ON two.b = 1 AND two.a = COALESCE(q.ref, w.id)",
        "2:",
        "one other table",
        "columns of one table",
    ),
    (
        BASE.format("q.n") + " JOIN w ON w.id = CASE WHEN q.at < CURRENT_DATE THEN q.ref END",
        "2:62",
        "changes with the day",
        "another condition",
    ),
    (
        BASE.format("q.n") + " LEFT JOIN w ON w.id = q.ref JOIN w x ON x.id = COALESCE(w.id, 0)",
        "2:55",
        "not NULL where LEFT JOIN finds no public.w",
        "NULL there",
    ),
    (
        BASE.format("q.n") + " JOIN (SELECT id FROM w) x ON x.id = q.ref",
        "2:",
        "derived table is joined",
        "start FROM it",
    ),
    (BASE.format("q.nn"), "1:45", "no such column", "correct its name"),
    (BASE.format("q.n").replace("FROM q", "FROM qq"), "2:6", "no such table", "correct its name"),
    (BASE.format("x.n"), "1:4", "unknown or ambiguous column", "alias.column"),
    ("SELECT q.item AS item, q.wh AS warehouse, q.n AS onhand FROM q", "1:", "onhand is no column", "on_hand"),
    ("SELECT q.item AS item, q.n AS on_hand FROM q", "1:", "must yield warehouse", "AS warehouse"),
    (
        "SELECT q.item AS item, q.item AS item, q.wh AS warehouse, q.n AS on_hand FROM q",
        "1:",
        "yielded twice",
        "remove",
    ),
    (BASE.format("q.n") + "\nUNION ALL SELECT q.item, q.wh FROM q", "3:", "has 2 columns", "same columns"),
    (BASE.format("q.n + q.item"), "1:", "arithmetic on a text", "numeric"),
    (BASE.format("q.item"), "1:", "amount of type text", "number"),
    (BASE.format("q.n") + " WHERE q.item = 5", "2:", "types differ", "no implicit casts"),
    (BASE.format("q.n") + " WHERE q.item < 'b'", "2:", "order comparison of text", "= or IN"),
    (BASE.format("q.n") + " WHERE q.d > 0", "2:", "comparison of a double", "another column"),
    (BASE.format("q.n") + " WHERE q.n", "2:", "not a condition", "compare"),
    (BASE.format("q.n") + " WHERE q.item IS TRUE", "2:16", "not a condition: item", "compare it"),
    (BASE.format("q.n") + " WHERE q.ref IN (q.id, 2)", "2:", "IN with other than literals", "OR"),
    (
        BASE.format("q.n") + " WHERE q.at_tz IS NULL AND q.at_tz < CURRENT_DATE",
        "2:36",
        "a column of type TIMESTAMPTZ: at_tz",
        "only IS [NOT] NULL",
    ),
    (BASE.format("CAST(q.n AS numeric(10,1))"), "1:", "may cut", "wider"),
    (
        BASE.format("q.n").replace("q.item AS", "CAST(q.item AS varchar(3)) AS"),
        "1:",
        "may cut the text",
        "without a length",
    ),
    (BASE.format("q.n").replace("q.item AS", "CAST(q.item AS varchar(1)) AS"), "1:", "may cut the text", "longer"),
    (BASE.format("q.n").replace("q.item AS", "q.d AS"), "1:", "a key of type number", "text"),
    (BASE.format("q.n").replace("q.item AS", "q.n AS"), "1:", "a key of type number", "text"),
    (
        BASE.format("q.n").replace("FROM q", "FROM (SELECT item, wh, n FROM q GROUP BY item, wh, n) q"),
        "2:",
        "aggregation inside a derived table",
        "yield its rows",
    ),
    (BASE.format("q.n").replace("q.item AS", "q.doc ->> 'a' -> 'b' AS"), "1:", "", ""),
    (BASE.format("q.n").replace("q.item AS", "TRIM(BOTH 'ab' FROM q.item) AS"), "1:", "TRIM of other", "one literal"),
    (
        BASE.format("q.n").replace("q.item AS", "SUBSTRING(q.item, 2) AS"),
        "1:8",
        "SUBSTRING with 2 arguments",
        "it takes 3",
    ),
    (BASE.format("q.n").replace("q.item AS", "SUBSTRING(q.item, 0, 2) AS"), "1:", "SUBSTRING", "positive literals"),
    (BASE.format("q.n").replace("q.item AS", "NVL(q.item, '') AS"), "1:8", "NVL()", "COALESCE"),
    (BASE.format("q.n").replace("q.item AS", "q.item || q.n AS"), "1:", "concatenation of a number", "whole numbers"),
    (BASE.format("q.n") + " WHERE q.item = :who", "2:23", ":who has no value", "[params.who]"),
    (BASE.format("q.n") + " WHERE q.item <> ':who' AND q.item = :who", "2:44", ":who has no value", "[params.who]"),
    (BASE.format("q.n") + " WHERE q.item = :many", "2:23", "outside of IN", "IN (:many)"),
    (BASE.format("q.n") + " WHERE q.item IN (:none)", "2:", "is empty", "[params.none]"),
    ("WITH q AS (SELECT * FROM q)\n" + BASE.format("q.n"), "", "name of a table", "another name"),
    (BASE.format("q.n") + " WHERE (", "2:14", "this ( is never closed", "the )"),
    (BASE.format("q.n") + " WHERE q.n q.n", "2:18", "cannot be read", "postgres"),
    (BASE.format("q.n") + "; DELETE FROM q", "2:9", "DELETE", "only reads"),
    (BASE.format("q.n") + "; " + BASE.format("q.n"), "2:9", "a second statement", "exactly one"),
    (BASE.format("q.n") + " WHERE q.item = 'a", "", "inside a quote", "close it"),
    ("SELECT 1 AS item, 2 AS warehouse, 3 AS on_hand", "", "without FROM", "table"),
    (BASE.format("1e3"), "", "scientific", "plain digits"),
]


@pytest.mark.parametrize(("sql", "place", "what", "fix"), CASES, ids=[f"{i}-{c[2]}" for i, c in enumerate(CASES)])
def test_refused_with_place_and_fix(sql, place, what, fix):
    with pytest.raises(PackError) as refused:
        compile_source(
            [MappingText("stock", sql, "stock.sql")], catalog_of(DDL, "postgres"), {"many": ["a"], "none": []}
        )
    error = refused.value
    assert error.where.startswith(f"stock.sql:{place}" if place else "stock.sql"), error
    assert any(w in error.what for w in what.split("|")), error
    assert fix in error.fix, error
    assert error.exit_code == 2


FOREIGN = [
    ("tsql", "CREATE TABLE q (id int PRIMARY KEY, item nvarchar(9), n decimal(28,6), c char(3), b bit)", [
        ("q.item || 'x'", "q.n", "||"), ("NVL(q.item, 'x')", "q.n", "NVL"), ("q.c + 'x'", "q.n", "padding"),
        ("q.item", "q.n * q.n", "rounds"), ("CASE WHEN q.b THEN 'a' END", "q.n", "not a condition"),
        ("ISNULL(q.item, '0123456789')", "q.n", "cuts"),
    ]),
    ("mysql", "CREATE TABLE q (id int PRIMARY KEY, item varchar(9), n decimal(30,16))", [
        ("q.item || 'x'", "q.n", "||"), ("q.item", "q.n * q.n", "rounds"), ("ISNULL(q.item)", "q.n", "ISNULL"),
        ("CASE WHEN q.item = 'a' COLLATE utf8mb4_bin THEN 'a' END", "q.n", "different collations"),
    ]),
    ("oracle", "CREATE TABLE q (id NUMBER(9) PRIMARY KEY, item VARCHAR2(9), n NUMBER(9,2), c CHAR(3))", [
        ("IFNULL(q.item, 'x')", "q.n", "IFNULL"), ("COALESCE(q.item, '')", "q.n", "'' is NULL"),
        ("CASE WHEN q.c = q.item THEN 'a' END", "q.n", "CHAR beside VARCHAR"), ("CONCAT(q.item, 'x')", "q.n", "CONCAT"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "ddl", "item", "amount", "what"), [(d, t, *case) for d, t, cases in FOREIGN for case in cases]
)
def test_other_dialects_and_inexact_results_are_refused(dialect, ddl, item, amount, what):
    sql = f"SELECT {item} AS item, 'W' AS warehouse, {amount} AS on_hand FROM q"
    with pytest.raises(PackError, match=what.replace("|", r"\|")):
        compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, dialect), {})


def test_sql_server_rounding_is_refused_where_a_pack_would_meet_it():
    catalog, texts, params = pack("kingdee")
    orders = next(t for t in texts if t.kind == "orders")
    rounded = orders.sql.replace("ELSE 0.0 END", "ELSE 0 END")
    assert rounded != orders.sql
    with pytest.raises(PackError, match="rounds this: it needs 41 digits"):
        compile_source([MappingText("orders", rounded, "orders.sql")], catalog, params)


def test_two_queries_of_one_kind_and_unknown_kinds():
    text = MappingText("stock", BASE.format("q.n"), "stock.sql")
    with pytest.raises(PackError, match="two queries of kind stock"):
        compile_source([text, text], catalog_of(DDL, "postgres"), {})
    with pytest.raises(PackError, match="unknown query kind stocks"):
        compile_source([MappingText("stocks", text.sql, "x.sql")], catalog_of(DDL, "postgres"), {})


def test_a_name_in_two_schemas_must_be_qualified():
    catalog = catalog_of(DDL, "postgres")
    tables = {**catalog.tables, **catalog_of(DDL, "postgres", "old").tables}
    both = type(catalog)("postgres", tables)
    with pytest.raises(PackError, match="several tables") as refused:
        compile_source([MappingText("stock", BASE.format("q.n"), "stock.sql")], both, {})
    assert "old.q, public.q" in refused.value.fix
    sql = BASE.format("q.n").replace("FROM q", "FROM old.q AS q")
    assert list(compile_source([MappingText("stock", sql, "stock.sql")], both, {}).captured) == ["old.q"]
