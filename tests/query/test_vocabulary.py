"""Every word, sign, function and node that has a fix of its own is refused where it stands, with that fix."""

import re
from functools import cache

import pytest
from sqlglot.dialects.dialect import Dialect

from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import PackError
from pipeline.query import MappingText, compile_source
from pipeline.query.fixes import FOREIGN, INSTEAD, NODE_FIXES, REFUSED
from pipeline.query.grammar import CASTS, FUNCTIONS, NODES
from tests.query.constructs import COLUMNS, DIALECTS
from tests.query.schemas import catalog_of

PLACED = re.compile(r"stock\.sql:\d+:\d+")
JOINED = "CREATE TABLE w (id int PRIMARY KEY, code int)"
START = "SELECT t AS item, 'W' AS warehouse, 1 AS on_hand FROM q "
VALUE = "SELECT t AS item, 'W' AS warehouse, {} AS on_hand FROM q"

# Word or sign -> (dialect, text): ^ marks where it stands.
WORDS = {
    "DISTINCT": ("postgres", "SELECT ^DISTINCT t AS item, 'W' AS warehouse, 1 AS on_hand FROM q"),
    "IS DISTINCT": ("postgres", START + "WHERE a IS NOT ^DISTINCT FROM b"),
    "HAVING": ("postgres", "SELECT t AS item, t AS warehouse, SUM(n) AS on_hand FROM q GROUP BY t ^HAVING SUM(n) > 0"),
    "LIKE": ("postgres", START + "WHERE t ^LIKE 'A%'"),
    "ILIKE": ("postgres", START + "WHERE t ^ILIKE 'A%'"),
    "REGEXP": ("mysql", START + "WHERE t ^REGEXP 'A'"),
    "RLIKE": ("mysql", START + "WHERE t ^RLIKE 'A'"),
    "SIMILAR": ("postgres", START + "WHERE t ^SIMILAR TO 'A'"),
    "ORDER": ("postgres", START + "^ORDER BY t"),
    "LIMIT": ("mysql", START + "^LIMIT 5"),
    "OFFSET": ("postgres", START + "^OFFSET 5"),
    "FETCH": ("oracle", START + "^FETCH FIRST 5 ROWS ONLY"),
    "TOP": ("tsql", "SELECT ^TOP 5 t AS item, 'W' AS warehouse, 1 AS on_hand FROM q"),
    "OVER": ("postgres", VALUE.format("SUM(n) ^OVER (t)")),
    "COUNT": ("postgres", VALUE.format("^COUNT(*)")),
    "MIN": ("tsql", VALUE.format("^MIN(n)")),
    "MAX": ("oracle", VALUE.format("^MAX(n)")),
    "AVG": ("mysql", VALUE.format("^AVG(n)")),
    "EXISTS": ("postgres", START + "WHERE ^EXISTS (SELECT 1 FROM w)"),
    "ANY": ("postgres", START + "WHERE a = ^ANY (SELECT id FROM w)"),
    "RIGHT": ("postgres", START + "^RIGHT JOIN w ON w.id = a"),
    "FULL": ("postgres", START + "^FULL JOIN w ON w.id = a"),
    "CROSS": ("postgres", START + "^CROSS JOIN w"),
    "NATURAL": ("postgres", START + "^NATURAL JOIN w"),
    "USING": ("postgres", START + "JOIN w ^USING (id)"),
    "LATERAL": ("postgres", START + "JOIN ^LATERAL (SELECT 1) x ON a = 1"),
    "RECURSIVE": ("postgres", "WITH ^RECURSIVE m AS (SELECT t FROM q) " + START),
    "INTERSECT": ("postgres", START + "^INTERSECT " + START),
    "EXCEPT": ("tsql", START + "^EXCEPT " + START),
    "MINUS": ("oracle", START + "^MINUS " + START),
    "ROUND": ("postgres", VALUE.format("^ROUND(n, 2)")),
    "ABS": ("mysql", VALUE.format("^ABS(n)")),
    "/": ("tsql", VALUE.format("n ^/ 2")),
    "%": ("tsql", VALUE.format("a ^% 2")),
    "NOW": ("mysql", START + "WHERE d < ^NOW()"),
    "CURRENT_TIMESTAMP": ("tsql", START + "WHERE ts < ^CURRENT_TIMESTAMP"),
    "INSERT": ("postgres", "^INSERT INTO q SELECT 1"),
    "UPDATE": ("mysql", "^UPDATE q SET a = 1"),
    "DELETE": ("postgres", START + "; ^DELETE FROM q"),
    "DROP": ("oracle", "^DROP TABLE q"),
    "CREATE": ("tsql", "^CREATE TABLE x (a int)"),
    "ALTER": ("mysql", "^ALTER TABLE q DROP a"),
    "MERGE": ("tsql", "^MERGE INTO q"),
    "INTO": ("tsql", "SELECT t AS item ^INTO x FROM q"),
    "VALUES": ("postgres", "^VALUES (1)"),
    "TABLESAMPLE": ("postgres", START + "^TABLESAMPLE SYSTEM (5)"),
    "QUALIFY": ("oracle", START + "^QUALIFY a = 1"),
    "WINDOW": ("postgres", START + "^WINDOW x AS (a)"),
    "PIVOT": ("tsql", START + "^PIVOT (SUM(n) FOR a IN (1))"),
    "UNPIVOT": ("oracle", START + "^UNPIVOT (n FOR a IN (b))"),
    "CONNECT": ("oracle", START + "^CONNECT BY PRIOR a = b"),
    "START": ("oracle", START + "^START WITH a = 1"),
    "STRAIGHT_JOIN": ("mysql", START + "^STRAIGHT_JOIN w ON w.id = a"),
    "GLOB": ("postgres", START + "WHERE t ^GLOB 'a'"),
    "OVERLAPS": ("postgres", START + "WHERE d ^OVERLAPS d"),
    "ESCAPE": ("oracle", START + "WHERE t ^ESCAPE 'x'"),
    "ISNULL": ("postgres", START + "WHERE t ^ISNULL"),
    "NOTNULL": ("postgres", START + "WHERE t ^NOTNULL"),
    "INTERVAL": ("postgres", START + "WHERE d < CURRENT_DATE - ^INTERVAL '1 day'"),
    "DIV": ("mysql", VALUE.format("a ^DIV 2")),
    "MOD": ("mysql", VALUE.format("a ^MOD 2")),
    "XOR": ("mysql", START + "WHERE f ^XOR f"),
    "==": ("tsql", START + "WHERE a ^== 1"),
    "<=>": ("mysql", START + "WHERE a ^<=> 1"),
    "&&": ("mysql", START + "WHERE a = 1 ^&& b = 2"),
    "!": ("mysql", START + "WHERE ^! f"),
    "->": ("postgres", START + "WHERE j ^-> 'a' IS NULL"),
    "#>": ("postgres", START + "WHERE j ^#> 'a' IS NULL"),
    "#>>": ("postgres", START + "WHERE j ^#>> 'a' IS NULL"),
    "?": ("mysql", START + "WHERE a = ^?"),
    "$": ("postgres", START + "WHERE a = ^$1"),
    "@": ("tsql", START + "WHERE a = ^@a"),
    "{": ("postgres", START + "WHERE a = ^{a}"),
    "[": ("postgres", START + "WHERE t^[1] = 'a'"),
    "&": ("tsql", VALUE.format("a ^& 1")),
    "|": ("mysql", VALUE.format("a ^| 1")),
    "^": ("tsql", VALUE.format("a ^^ 1")),
    "~": ("tsql", VALUE.format("^~a")),
    ":=": ("mysql", VALUE.format("a ^:= 1")),
    "=>": ("postgres", VALUE.format("COALESCE(a ^=> 1, b)")),
}
SPELLED_ELSEWHERE = {
    "||": VALUE.format("t ^|| t"),
    "::": VALUE.format("a^::int"),
    "->>": START + "WHERE t ^->> 'a' = 'x'",
    "CURRENT_DATE": START + "WHERE ts < ^CURRENT_DATE",
    "UNKNOWN": START + "WHERE a IS ^UNKNOWN",
    "TRUE": START + "WHERE a IS ^TRUE",
    "FALSE": START + "WHERE a IS ^FALSE",
}
# sqlglot's node -> (dialect, text)
REACHED = {
    "CurrentTimestamp": ("oracle", START + "WHERE ts < SYSDATE"),
    "Systimestamp": ("oracle", START + "WHERE ts < TRUNC(SYSTIMESTAMP)"),
    "BitwiseLeftShift": ("mysql", VALUE.format("a << 1")),
    "BitwiseRightShift": ("postgres", VALUE.format("a >> 1")),
    "CurrentTime": ("postgres", START + "WHERE ts < CURRENT_TIME"),
    "TimeToStr": ("postgres", START + "WHERE t = TO_CHAR(d, 'YYYYMMDD')"),
    "ToChar": ("oracle", START + "WHERE t = TO_CHAR(a, '999')"),
    "TsOrDsToTimestamp": ("mysql", START + "WHERE t = DATE_FORMAT(CURDATE(), '%Y')"),
    "Convert": ("tsql", START + "WHERE t = CONVERT(char(8), d, 112)"),
    "Tuple": ("postgres", START + "WHERE (a, b) = (1, 2)"),
    "Anonymous": ("postgres", START + 'WHERE "F"(a) = 1'),
    "Dot": ("postgres", START + "WHERE (j).a = 1"),
}


# A text that is not plain: (dialect, text)
TEXTS = [
    ("postgres", START + r"WHERE t = ^E'a\n'"),
    ("postgres", START + "WHERE t = ^B'101'"),
    ("mysql", START + "WHERE t = ^X'41'"),
    ("mysql", START + "WHERE a = ^0x41"),
    ("postgres", START + r"WHERE t = ^U&'\0041'"),
    ("postgres", START + "WHERE t = ^$$a$$"),
    ("oracle", START + "WHERE t = ^q'[a]'"),
    ("mysql", START + "WHERE t = ^_utf8mb4'a'"),
]
# What the parser forgives, and a database does not: (dialect, text, words of the refusal)
FORGIVEN = [
    ("postgres", "^FROM q", "does not begin with FROM"),
    ("tsql", "^IF 1 = 1 " + START, "does not begin with IF"),
    ("tsql", START + "; ^IF 1 = 1 " + START, "a second statement"),
    ("postgres", "^'a'", "does not begin with a"),
    ("postgres", "WITH m AS (^FROM q) " + START, "FROM without a SELECT"),
    ("mysql", START + "^FROM q", "FROM without a SELECT"),
    ("postgres", "SELECT t AS item, 'W' AS warehouse, 1 AS on_hand^, FROM q", "nothing stands behind"),
    ("postgres", START + "WHERE a IN (1, 2^,)", "nothing stands behind"),
    ("oracle", "SELECT COALESCE(t, u^,) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "nothing stands behind"),
    ("postgres", "SELECT t AS ^'item', 'W' AS warehouse, 1 AS on_hand FROM q", "a text cannot stand here"),
    ("mysql", "SELECT t ^'item', 'W' AS warehouse, 1 AS on_hand FROM q", "a text cannot stand here"),
    ("mysql", START + "WHERE t = 'a' ^'b'", "a text cannot stand here"),
    ("postgres", VALUE.format("^1abc"), "neither a number nor a name"),
    ("postgres", START + "^{# jinja #}", "is read differently"),
    ("postgres", START + "^/* outer /* inner */ */", "is read differently"),
    ("oracle", "SELECT ^/*+ FULL(q) */ t AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "/*+ is not part"),
    ("mysql", START + "WHERE a = 1 ^/*! OR 1 = 1 */", "is read differently"),
    ("mysql", START + "WHERE a = 1 ^/*M! OR 1 = 1 */", "is read differently"),
    ("tsql", START + "^\u00a0WHERE a = 1", "is read differently"),
    ("postgres", START + "WHERE a = 1 ^\x00", "control character"),
    ("postgres", "SELECT t AS item, 'W' AS warehouse, ^COALESCE(n) AS on_hand FROM q", "COALESCE with one argument"),
    ("oracle", "SELECT ^NVL(t, u, 'x') AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "NVL with 3 arguments"),
    ("mysql", "SELECT ^IF(a = 1, t) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "IF with 2 arguments"),
    ("tsql", "SELECT ^IIF(a = 1, t) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "IIF with 2 arguments"),
    ("oracle", "SELECT ^DECODE(a, 1) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "DECODE with 2 arguments"),
    ("tsql", "SELECT ^CONCAT(t) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "CONCAT with one argument"),
    ("oracle", START + "WHERE ts < ^TRUNC(ts, 'MM')", "TRUNC with 2 arguments"),
    ("oracle", "SELECT x.t AS item, 'W' AS warehouse, 1 AS on_hand FROM q ^AS x", "Oracle takes no AS"),
    ("postgres", START + "OUTER JOIN ^w ON w.id = a", "only [INNER] JOIN"),
    ("mysql", START + "LEFT INNER JOIN ^w ON w.id = a", "only [INNER] JOIN"),
    ("postgres", START + "ASOF JOIN ^w ON w.id = a", "only [INNER] JOIN"),
    ("postgres", START + "WHERE a = ^(1", "is never closed"),
    ("postgres", START + "WHERE a = 1^)", "closes nothing"),
    ("postgres", START + "WHERE t = ^'a", "never closed"),
    ("mysql", START + r"WHERE t = ^'a\'", "never closed"),
    ("postgres", START + "^/* a", "never closed"),
    ("tsql", START + "WHERE ^[a = 1", "never closed"),
    ("postgres", "SELECT m.t AS item, 'W' AS warehouse, 1 AS on_hand FROM (SELECT ^t FROM q)", "derived table without"),
    ("postgres", "SELECT m.t AS item, 'W' AS warehouse, 1 AS on_hand FROM (^q) m", "parentheses around a table"),
    ("mysql", "SELECT m.t AS item, 'W' AS warehouse, 1 AS on_hand FROM (SELECT t, u AS ^t FROM q) m", "two columns"),
    ("tsql", "SELECT m.t AS item, 'W' AS warehouse, 1 AS on_hand FROM (SELECT t, ^1 FROM q) m", "without a name"),
    ("tsql", "SELECT ^plan.t AS item, 'W' AS warehouse, 1 AS on_hand FROM q plan", "plan is a word of tsql"),
    ("mysql", "SELECT q.t AS item, 'W' AS warehouse, 1 AS on_hand FROM q ^rank", "rank is a word of mysql"),
    ("oracle", "SELECT q.t AS item, 'W' AS warehouse, 1 AS on_hand FROM q ^level", "level is a word of oracle"),
    ("tsql", "SELECT dbo.^F(t) AS item, 'W' AS warehouse, 1 AS on_hand FROM q", "F() is not part"),
    ("postgres", START + "WHERE ^a = NULL", "is never true"),
    ("postgres", START + "WHERE a = 1" + " OR a = 1" * 60 + " ^OR a = 1", "in a row"),
    ("postgres", START + "WHERE a = " + "(" * 29 + "^(1" + ")" * 30, "inside each other"),
    ("postgres", "^" + START + " " * 100_000, "more than 100000 characters"),
]


@cache
def catalog_in(dialect: str) -> Catalog:
    return catalog_of(f"CREATE TABLE q ({COLUMNS[dialect]}); {JOINED}", dialect)


def refusal(sql: str, dialect: str) -> PackError | None:
    try:
        compile_source([MappingText("stock", sql, "stock.sql")], catalog_in(dialect), {})
    except PackError as error:
        return error
    return None


def exploding(step: str) -> str:
    """A WITH chain in which every query uses the one before it twice."""
    chain = ", ".join(f"c{i} AS ({step.format(f'c{i - 1}')})" for i in range(1, 25))
    return f"WITH c0 AS (SELECT t, n FROM q), {chain} SELECT t AS item, 'W' AS warehouse, n AS on_hand FROM c24"


def nested(text: str, times: int) -> str:
    value = "t"
    for _ in range(times):
        value = text.format(value)
    return f"SELECT {value} AS item, 'W' AS warehouse, 1 AS on_hand FROM q"


# Small texts that are huge once written out: (text, words of the refusal)
EXPLODING = [
    (exploding("SELECT t, n FROM {0} UNION ALL SELECT t, n FROM {0}"), "more than 200 arms"),
    (exploding("SELECT t, n + n AS n FROM {0}"), "more than 5000 parts"),
    (nested("NULLIF({0}, 'a')", 25), "too much in one query"),
    (nested("CASE {0} WHEN 'a' THEN 'b' WHEN 'c' THEN 'd' END", 20), "too much in one query"),
    (
        START
        + "WHERE "
        + " AND ".join("(a = 1" + "".join(f" AND a <> {50 * p + i}" for i in range(50)) + ")" for p in (0, 1)),
        "too many levels",
    ),
]


def refusal_of(sql: str, dialect: str) -> PackError:
    error = refusal(sql, dialect)
    assert error is not None, sql
    return error


def marked(text: str) -> tuple[str, str]:
    """The text without its first mark, and the place it marked."""
    at = text.index("^")
    return text[:at] + text[at + 1 :], f"stock.sql:1:{at + 1}"


def test_every_entry_has_a_case() -> None:
    assert WORDS.keys() == REFUSED.keys()
    assert SPELLED_ELSEWHERE.keys() == set().union(*FOREIGN.values())
    assert REACHED.keys() == NODE_FIXES.keys()
    assert not NODE_FIXES.keys() & NODES.keys()


@pytest.mark.parametrize("word", WORDS)
def test_words_and_signs(word: str) -> None:
    dialect, text = WORDS[word]
    sql, place = marked(text)
    error = refusal_of(sql, dialect)
    assert (error.where, error.fix) == (place, REFUSED[word])
    assert f"{word} is not part of a mapping query" in error.what


@pytest.mark.parametrize(("word", "dialect"), [(w, d) for w in WORDS for d in DIALECTS])
def test_words_and_signs_in_every_dialect(word: str, dialect: str) -> None:
    error = refusal_of(marked(WORDS[word][1])[0], dialect)
    assert PLACED.fullmatch(error.where)
    assert error.fix


@pytest.mark.parametrize(("dialect", "word"), [(d, w) for d in DIALECTS for w in FOREIGN[d]])
def test_spelled_as_elsewhere(dialect: str, word: str) -> None:
    sql, place = marked(SPELLED_ELSEWHERE[word])
    error = refusal_of(sql, dialect)
    assert (error.where, error.fix) == (place, FOREIGN[dialect][word])


@pytest.mark.parametrize(("word", "dialect"), [(w, d) for w in INSTEAD for d in DIALECTS if w not in FUNCTIONS[d]])
def test_functions(word: str, dialect: str) -> None:
    sql, place = marked(VALUE.format(f"^{word}(t, 1)"))
    error = refusal_of(sql, dialect)
    assert error.where == place
    assert error.fix == (REFUSED.get(word) or INSTEAD[word])


@pytest.mark.parametrize(("word", "dialect"), [(w, d) for o in DIALECTS for w in FUNCTIONS[o] for d in DIALECTS])
def test_functions_of_other_dialects(word: str, dialect: str) -> None:
    if word in FUNCTIONS[dialect]:
        assert min(FUNCTIONS[dialect][word]) >= 0
        return
    sql, place = marked(VALUE.format(f"^{word}(t, 1)"))
    assert refusal_of(sql, dialect).where == place


@pytest.mark.parametrize(("dialect", "text"), TEXTS)
def test_texts_that_are_not_plain(dialect: str, text: str) -> None:
    sql, place = marked(text)
    error = refusal_of(sql, dialect)
    assert (error.where, "is not a plain text" in error.what) == (place, True), error


@pytest.mark.parametrize(("dialect", "text", "says"), FORGIVEN, ids=[f"{d}-{s}" for d, _, s in FORGIVEN])
def test_what_the_parser_forgives(dialect: str, text: str, says: str) -> None:
    sql, place = marked(text)
    error = refusal_of(sql, dialect)
    assert (error.where, says in error.what) == (place, True), error
    assert error.fix


@pytest.mark.parametrize(("sql", "says"), EXPLODING, ids=[s for _, s in EXPLODING])
def test_small_texts_that_explode(sql: str, says: str) -> None:
    error = refusal_of(sql, "postgres")
    assert says in error.what
    assert PLACED.fullmatch(error.where)


@pytest.mark.parametrize("node", REACHED)
def test_nodes(node: str, caplog: pytest.LogCaptureFixture) -> None:
    dialect, sql = REACHED[node]
    error = refusal_of(sql, dialect)
    what, fix = NODE_FIXES[node]
    assert (what in error.what, error.fix) == (True, fix), error
    assert PLACED.fullmatch(error.where)
    assert not caplog.records, "the parser talks to nobody"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_casts_name_the_dialects_own_types(dialect: str) -> None:
    for type_ in set().union(*CASTS.values()) - CASTS[dialect]:
        sql, place = marked(VALUE.format(f"CAST(a ^AS {type_})"))
        error = refusal_of(sql, dialect)
        assert (error.where, f"a cast to {type_}" in error.what) == (place, True)


# Each stands where a name, an operator, a call and a clause may; a database reads none of them.
POSITIONS = ("WHERE a {} b", "WHERE {} (a)", "{} JOIN w ON w.id = a", "{} a")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_keyword_of_the_parser_compiles_or_is_refused_with_a_place(dialect: str) -> None:
    words = [w for w in Dialect.get_or_raise(dialect).tokenizer_class.KEYWORDS if w.strip()]
    assert len(words) > 200
    for word in words:
        for position in POSITIONS:
            error = refusal(START + position.format(word), dialect)
            assert error is None or (PLACED.fullmatch(error.where) and error.fix), (word, position, error)
