"""One expression at a time, on one row: what the engine yields for it."""

import msgspec
import pytest

from pipeline.domain.errors import PackError
from pipeline.query import MappingText, compile_source
from tests.query.schemas import catalog_of

NAMES = {
    "postgres": "a int, b int, t text, u text, n numeric(9,2), f boolean, d date, ts timestamp, j jsonb",
    "mysql": "a int, b int, t varchar(9), u varchar(9), n decimal(9,2), f tinyint, d date, ts datetime",
    "tsql": "a int, b int, t nvarchar(9), u nvarchar(9), n decimal(9,2), f bit, d date, ts datetime2",
    "oracle": "a NUMBER(9), b NUMBER(9), t VARCHAR2(9), u VARCHAR2(9), n NUMBER(9,2), ts DATE",
}
TRUTHS = (True, False, None)


def engine_of(item: str, dialect: str = "postgres", *, amount: str = "1", where: str = ""):
    return engine_of_sql(f"SELECT {item} AS item, 'W' AS warehouse, {amount} AS on_hand FROM q {where}", dialect)


def engine_of_sql(sql: str, dialect: str = "postgres"):
    ddl = f"CREATE TABLE q (id int PRIMARY KEY, {NAMES[dialect]})"
    return compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, dialect), {}, today="2026-11-22")


def groups_of(engine, **row):
    (table,) = engine.tables.values()
    row = dict.fromkeys(engine.captured[table.name]) | {"id": 1} | row
    table.upsert(msgspec.convert({c: row[c] for c in engine.captured[table.name]}, table.row_type))
    return list(engine.views["stock"].groups())


def value_of(item: str, dialect: str = "postgres", **row):
    ((key, _, _),) = groups_of(engine_of(item, dialect), **row)
    return key[0]


def amount_of(amount: str, dialect: str = "postgres", **row):
    engine = engine_of("'x'", dialect, amount=amount)
    ((_, _, sums),) = groups_of(engine, **row)
    return sums[0], engine.views["stock"].amounts[0].scale


@pytest.mark.parametrize("left", TRUTHS)
@pytest.mark.parametrize("right", TRUTHS)
def test_three_valued_logic(left, right):
    """AND, OR and NOT as the standard's truth tables have them; a row is kept only where the whole is true."""

    def known(truth):
        return {True: 1, False: 0, None: None}[truth]

    def kept(condition):
        return bool(groups_of(engine_of("'x'", where=f"WHERE {condition}"), a=known(left), b=known(right)))

    both = False if False in (left, right) else None if None in (left, right) else True
    either = True if True in (left, right) else None if None in (left, right) else False
    assert kept("a = 1 AND b = 1") is (both is True)
    assert kept("NOT (a = 1 AND b = 1)") is (both is False)
    assert kept("a = 1 OR b = 1") is (either is True)
    assert kept("NOT (a = 1 OR b = 1)") is (either is False)
    assert kept("NOT (NOT (a = 1))") is (left is True)


@pytest.mark.parametrize(
    ("condition", "row", "expected"),
    [
        ("a <> b", {"a": None, "b": 1}, False),
        ("NOT (a <> b)", {"a": None, "b": 1}, False),
        ("a = b", {"a": None, "b": None}, False),
        ("NOT a IN (1, 2)", {"a": None}, False),
        ("a NOT IN (1, 2)", {"a": 3}, True),
        ("a NOT BETWEEN 1 AND 2", {"a": 3}, True),
        ("a NOT BETWEEN 1 AND b", {"a": 0, "b": None}, True),
        ("a BETWEEN 1 AND b", {"a": 2, "b": None}, False),
        ("a IS NOT NULL", {"a": None}, False),
        ("f", {"f": None}, False),
        ("NOT f", {"f": False}, True),
        ("NOT f", {"f": None}, False),
        ("n = 1.5", {"n": "1.50"}, True),
        ("n IN (1, 2.500)", {"n": "2.50"}, True),
        ("n > 1.499", {"n": "1.50"}, True),
        ("ts >= DATE '2026-11-10'", {"ts": "2026-11-10T00:00:00Z"}, True),
        ("ts > DATE '2026-11-10'", {"ts": "2026-11-10T00:00:00Z"}, False),
        ("d <= CURRENT_DATE", {"d": "2026-11-22Z"}, True),
        ("d < CURRENT_DATE", {"d": "2026-11-22Z"}, False),
        ("t IS NULL", {"t": "x"}, False),
        ("COALESCE(a, b) = 2", {"a": None, "b": 2}, True),
    ],
)
def test_conditions(condition, row, expected):
    assert bool(groups_of(engine_of("'x'", where=f"WHERE {condition}"), **row)) is expected


@pytest.mark.parametrize(
    ("dialect", "item", "row", "expected"),
    [
        ("postgres", "t || u", {"t": "a", "u": None}, None),
        ("postgres", "CONCAT(t, u)", {"t": "a", "u": None}, "a"),
        ("postgres", "a || '/' || t", {"a": 7, "t": "x"}, "7/x"),
        ("mysql", "CONCAT(t, u)", {"t": "a", "u": None}, None),
        ("tsql", "t + u", {"t": "a", "u": None}, None),
        ("tsql", "CONCAT(t, '-', a)", {"t": None, "a": 3}, "-3"),
        ("oracle", "t || u", {"t": "a", "u": None}, "a"),
        ("oracle", "TRIM(t)", {"t": "  "}, None),
        ("oracle", "t", {"t": ""}, None),
        ("oracle", "DECODE(t, NULL, 'none', 'a', 'A', 'other')", {"t": None}, "none"),
        ("oracle", "NVL(t, u)", {"t": None, "u": "x"}, "x"),
        ("oracle", "LTRIM(t, '0')", {"t": "0040"}, "40"),
        ("postgres", "UPPER(t)", {"t": "straße"}, "STRAßE"),
        ("postgres", "LOWER(t)", {"t": "ΑΣ"}, "ας"[0] + "σ"),
        ("postgres", "SUBSTRING(t, 2, 2)", {"t": "abcd"}, "bc"),
        ("postgres", "NULLIF(t, 'a')", {"t": "a"}, None),
        ("postgres", "NULLIF(t, 'a')", {"t": None}, None),
        ("postgres", "CASE a WHEN 1 THEN 'one' WHEN NULL THEN 'never' END", {"a": None}, None),
        ("postgres", "j ->> 'k'", {"j": '{"k": "v"}'}, "v"),
        ("postgres", "j ->> 'k'", {"j": '{"k": null}'}, None),
        ("postgres", "j ->> 'k'", {"j": "[1]"}, None),
        ("postgres", "ts::date", {"ts": "2026-11-10T23:59:59.9Z"}, "2026-11-10"),
        ("mysql", "IF(f, t, 'no')", {"f": 0, "t": "yes"}, "no"),
        ("mysql", "DATE(ts)", {"ts": "2026-11-10T23:59:59Z"}, "2026-11-10"),
        ("tsql", "CASE WHEN f = 1 THEN 'y' ELSE 'n' END", {"f": True}, "y"),
        ("tsql", "IIF(a > 1, N'äb', t)", {"a": 2}, "äb"),
        ("oracle", "CASE WHEN ts <= TRUNC(SYSDATE) THEN 'past' END", {"ts": "2026-11-22T00:00:00Z"}, "past"),
        ("oracle", "CASE WHEN ts <= TRUNC(SYSDATE) THEN 'past' END", {"ts": "2026-11-22T00:00:01Z"}, None),
        ("tsql", "CASE WHEN d < CAST(GETDATE() AS date) THEN 'past' END", {"d": "2026-11-21Z"}, "past"),
    ],
)
def test_values(dialect, item, row, expected):
    assert value_of(item, dialect, **row) == expected


@pytest.mark.parametrize(
    ("amount", "row", "expected"),
    [
        ("n", {"n": "-1.25"}, (-125, 2)),
        ("n * 0.01", {"n": "1.25"}, (125, 4)),
        ("n * n - a", {"n": "1.25", "a": 1}, (5625, 4)),
        ("a - n", {"a": None, "n": "1.00"}, (0, 2)),
        ("-(n + 0.125)", {"n": "1.00"}, (-1125, 3)),
        ("a - (b - 1)", {"a": 5, "b": 3}, (3, 0)),
        ("COALESCE(n, 2)", {}, (200, 2)),
        ("CASE WHEN a = 1 THEN n ELSE 3 END", {"a": 2}, (300, 2)),
        ("CAST(a AS numeric(14,4))", {"a": 2}, (20000, 4)),
        ("n", {"n": "1234567.89"}, (123456789, 2)),
    ],
)
def test_amounts_are_exact(amount, row, expected):
    assert amount_of(amount, **row) == expected


@pytest.mark.parametrize("dialect", ["mysql", "tsql"])
def test_texts_equal_for_the_collation_are_one_key_under_the_first_spelling(dialect):
    engine = engine_of("t", dialect)
    groups_of(engine, id=1, t="Bolt")
    ((key, count, _),) = groups_of(engine, id=2, t="BOLT ")
    assert (key[0], count) == ("Bolt", 2)
    assert engine.views["stock"].from_erp(["bolt", "w", 2, 2]) == (("Bolt", "W"), 2, (2,))
    assert engine.views["stock"].from_erp(["Nut", "w", 1, 1]) == (("Nut", "W"), 1, (1,))


def test_the_querys_own_words_are_never_folded():
    engine = engine_of("CASE WHEN a = 1 THEN t ELSE 'closed' END", "tsql")
    groups_of(engine, id=1, a=1, t="Closed")
    ((key, count, _),) = groups_of(engine, id=2, a=2)
    assert (key[0], count) == ("closed", 2)


def test_binary_collations_compare_exactly():
    ddl = "CREATE TABLE q (id int PRIMARY KEY, t varchar(9))"
    catalog = catalog_of(ddl, "mysql")
    column = catalog.tables["erp.q"].columns["t"]
    object.__setattr__(column, "collation", "utf8mb4_0900_bin")
    text = MappingText("stock", "SELECT t AS item, 'W' AS warehouse, 1 AS on_hand FROM q WHERE t < 'b'", "stock.sql")
    engine = compile_source([text], catalog, {})
    groups_of(engine, id=1, t="a")
    assert len(groups_of(engine, id=2, t="A")) == 2


@pytest.mark.parametrize("used", ["UPPER(x)", "x || 'y'", "TRIM(x)", "SUBSTRING(x, 1, 2)", "COALESCE(LOWER(x), NULL)"])
def test_a_text_that_is_null_in_one_arm(used):
    sql = f"""SELECT {used} AS item, 'W' AS warehouse, 1 AS on_hand
              FROM (SELECT q.t AS x FROM q UNION ALL SELECT NULL FROM q) m WHERE CONCAT(x, 'y') <> 'z'"""
    assert {key[0] for key, _, _ in groups_of(engine_of_sql(sql), t="Abc")} == {
        value_of(used.replace("x", "t"), t="Abc"),
        None,
    }


@pytest.mark.parametrize("used", ["x", "-x", "x + n", "n * x", "COALESCE(x, n) - x", "CAST(x AS numeric(20,5))"])
def test_a_number_that_is_null_in_one_arm(used):
    sql = f"""SELECT 'i' AS item, 'W' AS warehouse, {used} AS on_hand
              FROM (SELECT q.n AS x, q.n FROM q UNION ALL SELECT NULL, q.n FROM q) m"""
    view = (engine := engine_of_sql(sql)).views["stock"]
    ((_, count, sums),) = groups_of(engine, n="1.50")
    assert (count, sums[0], view.amounts[0].scale) == (2, *amount_of(used.replace("x", "n"), n="1.50"))


def test_a_condition_that_is_null_in_one_arm():
    sql = """SELECT 'i' AS item, CASE WHEN x THEN 'yes' WHEN NOT x THEN 'no' ELSE 'unknown' END AS warehouse,
                    1 AS on_hand
             FROM (SELECT q.f AS x FROM q UNION ALL SELECT NULL FROM q) m"""
    assert {key[1] for key, _, _ in groups_of(engine_of_sql(sql), f=False)} == {"no", "unknown"}


def test_group_by_may_begin_with_a_parenthesis():
    sql = "SELECT (q.a) AS item, 'W' AS warehouse, SUM(q.n) AS on_hand FROM q GROUP BY (q.a)"
    assert groups_of(engine_of_sql(sql), a=1, n="1.50") == [((1, "W"), 1, (150,))]


def test_a_literal_of_many_digits_is_not_rounded():
    digits = "9999999999999999999999999999.9999999999"
    assert amount_of(digits) == (int(digits.replace(".", "")), 10)


@pytest.mark.parametrize(
    ("dialect", "type_", "scale"),
    [("mysql", "decimal", 0), ("tsql", "decimal", 0), ("tsql", "money", 4), ("tsql", "smallmoney", 4)],
)
def test_a_number_whose_digits_the_type_leaves_out(dialect, type_, scale):
    catalog = catalog_of(f"CREATE TABLE q (id int PRIMARY KEY, n {type_})", dialect)
    text = MappingText("stock", "SELECT 'x' AS item, 'W' AS warehouse, n + n AS on_hand FROM q", "stock.sql")
    engine = compile_source([text], catalog, {})
    assert groups_of(engine, n="3") == [(("x", "W"), 1, (6 * 10**scale,))]


def test_a_boolean_of_mysql_is_a_number():
    catalog = catalog_of("CREATE TABLE q (id int PRIMARY KEY, f boolean)", "mysql")
    text = MappingText("stock", "SELECT f AS item, 'W' AS warehouse, f AS on_hand FROM q WHERE f = 2", "stock.sql")
    assert groups_of(compile_source([text], catalog, {}), f=2) == [((2, "W"), 1, (2,))]


def test_a_row_version_of_sql_server_is_no_time():
    catalog = catalog_of("CREATE TABLE q (id int PRIMARY KEY, v timestamp)", "tsql")
    text = MappingText("stock", "SELECT v AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "stock.sql")
    with pytest.raises(PackError, match="a column of type ROWVERSION"):
        compile_source([text], catalog, {})


@pytest.mark.parametrize(
    ("dialect", "type_"), [("postgres", "uuid"), ("postgres", "bpchar"), ("tsql", "uniqueidentifier")]
)
def test_a_text_by_another_name(dialect, type_):
    catalog = catalog_of(f"CREATE TABLE q (id int PRIMARY KEY, t {type_})", dialect)
    text = MappingText("stock", "SELECT t AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "stock.sql")
    assert groups_of(compile_source([text], catalog, {}), t="a1") == [(("a1", "W"), 1, (1,))]


def test_an_empty_text_of_oracle_is_null_in_an_answer_too():
    assert engine_of("t", "oracle").views["stock"].from_erp(["", "W", 1, 1]) == ((None, "W"), 1, (1,))


def test_a_product_of_doubles_is_counted_alike_here_and_in_an_answer():
    catalog = catalog_of("CREATE TABLE q (id int PRIMARY KEY, x double precision)", "postgres")
    text = MappingText("stock", "SELECT 'x' AS item, 'W' AS warehouse, x * x AS on_hand FROM q", "stock.sql")
    engine = compile_source([text], catalog, {})
    assert groups_of(engine, x=0.5) == [engine.views["stock"].from_erp(["x", "W", 1, 0.25])]
