"""Every construct of a mapping query in four dialects: its spelling and value, or the words of the refusal.

`place` says where the expression stands: as the item, the amount, or the condition; `row` names the columns that are not
NULL. A dialect that is not named takes the common spelling; `No` is a refusal and the words it says.
"""

# ruff: noqa: E501 -- one line a case, one line a dialect
from dataclasses import dataclass
from typing import Any

TODAY = "2026-11-22"
DIALECTS = ("postgres", "mysql", "tsql", "oracle")
COLUMNS = {
    "postgres": "id int PRIMARY KEY, a int, b int, t varchar(9), u varchar(9), c char(4), c8 char(8), n numeric(9,2), m numeric(9,2), f boolean, d date, ts timestamp, tz timestamptz, x double precision, j jsonb",
    "mysql": "id int PRIMARY KEY, a int, b int, t varchar(9), u varchar(9), c char(4), c8 char(8), n decimal(9,2), m decimal(9,2), f tinyint, bt bit(1), d date, ts datetime(6), x double",
    "tsql": "id int PRIMARY KEY, a int, b int, t nvarchar(9), u nvarchar(9), c char(4), c8 char(8), n decimal(9,2), m decimal(9,2), f bit, d date, ts datetime2, x float",
    "oracle": "id NUMBER(9) PRIMARY KEY, a NUMBER(9), b NUMBER(9), t VARCHAR2(9), u VARCHAR2(9), c CHAR(4), c8 CHAR(8), n NUMBER(9,2), m NUMBER(9,2), ts DATE, x BINARY_DOUBLE",
}  # fmt: skip


@dataclass(frozen=True)
class No:
    """Refused, in words; `sql` where it is not the common spelling."""

    what: str
    sql: str = ""


@dataclass(frozen=True)
class Case:
    construct: str
    place: str
    row: dict[str, Any]
    expected: Any
    spellings: dict[str, str]
    refusals: dict[str, str]


def _case(construct: str, place: str, row: dict[str, Any], expected: Any, common: str = "", **own: "str | No") -> Case:
    spellings = dict.fromkeys(DIALECTS, common) | {
        d: s if isinstance(s, str) else s.sql or common for d, s in own.items()
    }
    refusals = {d: s.what for d, s in own.items() if isinstance(s, No)}
    return Case(construct, place, row, expected, {d: s for d, s in spellings.items() if s}, refusals)


def _each(pattern: str, *words: dict[str, str]) -> dict[str, str]:
    """The pattern in every dialect, {0}, {1}.. being its words."""
    return {d: pattern.format(*(w[d] for w in words)) for d in DIALECTS}


def sql_of(case: Case, dialect: str) -> str:
    said = case.spellings[dialect]
    parts = {"item": "'x'", "amount": "1", "where": ""} | {case.place: said}
    condition = f" WHERE {parts['where']}" if parts["where"] else ""
    return f"SELECT {parts['item']} AS item, 'W' AS warehouse, {parts['amount']} AS on_hand FROM q{condition}"


item, amount, where = "item", "amount", "where"
_DAY = {"postgres": "CURRENT_DATE", "mysql": "CURDATE()", "tsql": "CAST(GETDATE() AS date)", "oracle": "TRUNC(SYSDATE)"}
_DATE = dict.fromkeys(DIALECTS, "DATE '2026-11-10'") | {"tsql": "CAST('2026-11-10' AS date)"}
_YMD = {
    "postgres": "TO_CHAR(CURRENT_DATE, 'YYYYMMDD')",
    "mysql": "DATE_FORMAT(CURDATE(), '%Y%m%d')",
    "tsql": "CONVERT(char(8), GETDATE(), 112)",
    "oracle": "TO_CHAR(SYSDATE, 'YYYYMMDD')",
}
_ISO = {
    "postgres": "TO_CHAR(CURRENT_DATE, 'YYYY-MM-DD')",
    "mysql": "DATE_FORMAT(CURRENT_DATE, '%Y-%m-%d')",
    "tsql": "CONVERT(varchar(10), GETDATE(), 23)",
    "oracle": "TO_CHAR(TRUNC(SYSDATE), 'YYYY-MM-DD')",
}
_BIN = {
    "postgres": ' COLLATE "C"',
    "mysql": " COLLATE utf8mb4_bin",
    "tsql": " COLLATE Latin1_General_BIN2",
    "oracle": "",
}
_TEXT = {"postgres": "text", "mysql": "CHAR", "tsql": "nvarchar(20)", "oracle": "VARCHAR2(20)"}
_DEC = {"postgres": "numeric(14,4)", "mysql": "DECIMAL(14,4)", "tsql": "decimal(14,4)", "oracle": "NUMBER(14,4)"}

CASES = [
    # ---- CASE, IF, DECODE
    _case("CASE WHEN", item, {"a": 1}, "one", "CASE WHEN a = 1 THEN 'one' ELSE 'other' END"),
    _case("CASE WHEN, unknown", item, {}, "other", "CASE WHEN a = 1 THEN 'one' ELSE 'other' END"),
    _case("CASE WHEN without ELSE", item, {"a": 2}, None, "CASE WHEN a = 1 THEN 'one' END"),
    _case("CASE x WHEN", item, {"a": 2}, "two", "CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' END"),
    _case("CASE x WHEN, NULL never equals", item, {}, "other", "CASE a WHEN b THEN 'same' ELSE 'other' END"),
    _case("CASE of two scales", amount, {"a": 2, "n": "1.25"}, (300, 2), "CASE WHEN a = 1 THEN n ELSE 3 END"),
    _case("CASE folds no word of the query", item, {"a": 2}, "Closed", "CASE WHEN a = 1 THEN t ELSE 'Closed' END"),
    _case("IF", item, {"a": 2}, "no", "IF(a = 1, 'yes', 'no')", postgres=No("IF()"), tsql=No("IF()"), oracle=No("IF()")),
    _case("IIF", item, {"a": 1}, "yes", "IIF(a = 1, 'yes', 'no')", postgres=No("IIF()"), mysql=No("IIF()"), oracle=No("IIF()")),
    _case("DECODE finds NULL", item, {}, "none", "DECODE(a, NULL, 'none', 1, 'one', 'other')", postgres=No("DECODE()"), mysql=No("DECODE()"), tsql=No("DECODE()")),
    _case("DECODE without default", item, {"a": 3}, None, oracle="DECODE(a, 1, 'one', 2, 'two')"),
    # ---- COALESCE and its kin
    _case("COALESCE", item, {"u": "x"}, "x", "COALESCE(t, u, 'none')"),
    _case("COALESCE of NULLs", item, {}, "none", "COALESCE(t, u, 'none')"),
    _case("COALESCE of two scales", amount, {}, (1500, 3), "COALESCE(n, 1.500)"),
    _case("IFNULL", item, {"u": "x"}, "x", "IFNULL(t, u)", postgres=No("IFNULL()"), tsql=No("IFNULL()"), oracle=No("IFNULL()")),
    _case("ISNULL", item, {"u": "x"}, "x", "ISNULL(t, u)", postgres=No("ISNULL"), mysql=No("ISNULL"), oracle=No("ISNULL")),
    _case("ISNULL that cuts", item, {}, None, tsql=No("ISNULL cuts", "ISNULL(t, N'0123456789')")),
    _case("NVL", item, {"u": "x"}, "x", "NVL(t, u)", postgres=No("NVL()"), mysql=No("NVL()"), tsql=No("NVL()")),
    _case("NULLIF, equal", item, {"t": "x"}, None, "NULLIF(t, 'x')"),
    _case("NULLIF, other", item, {"t": "y"}, "y", "NULLIF(t, 'x')"),
    _case("NULLIF of a number", amount, {"n": "0.00"}, (0, 2), "NULLIF(n, 0)"),
    # ---- texts
    _case("TRIM", item, {"t": " a b "}, "a b", "TRIM(t)"),
    _case("LTRIM", item, {"t": " a"}, "a", "LTRIM(t)"),
    _case("RTRIM", item, {"t": "a  "}, "a", "RTRIM(t)"),
    _case("LTRIM of a character", item, {"t": "00400"}, "400", "LTRIM(t, '0')", mysql=No("LTRIM with 2 arguments"), tsql=No("LTRIM with 2 arguments")),
    _case("TRIM LEADING", item, {"t": "00400"}, "400", "TRIM(LEADING '0' FROM t)", tsql=No("TRIM takes no characters")),
    _case("TRIM TRAILING", item, {"t": "00400"}, "004", "TRIM(TRAILING '0' FROM t)", tsql=No("TRIM takes no characters")),
    _case("TRIM BOTH", item, {"t": "00400"}, "4", "TRIM(BOTH '0' FROM t)", tsql=No("TRIM takes no characters")),
    _case("UPPER", item, {"t": "bolt"}, "BOLT", "UPPER(t)"),
    _case("LOWER", item, {"t": "BOLT"}, "bolt", "LOWER(t)"),
    _case("UPPER, one character for one", item, {"t": "straße"}, "STRAßE", postgres="UPPER(t)", mysql="UPPER(t)"),
    _case("SUBSTRING", item, {"t": "abcd"}, "bc", "SUBSTRING(t, 2, 2)", oracle=No("SUBSTRING()")),
    _case("SUBSTR", item, {"t": "abcd"}, "bc", "SUBSTR(t, 2, 2)", tsql=No("SUBSTR()")),
    _case("SUBSTRING beyond the end", item, {"t": "abc"}, "c", "SUBSTRING(t, 3, 9)", oracle="SUBSTR(t, 3, 9)"),
    _case("||", item, {"t": "a", "u": "b"}, "ab", "t || u", mysql=No("||"), tsql=No("||")),
    _case("|| with NULL", item, {"t": "a"}, None, postgres="t || u"),
    _case("|| with NULL, Oracle", item, {"t": "a"}, "a", oracle="t || u"),
    _case("|| with a number", item, {"a": -7, "t": "x"}, "-7/x", "a || '/' || t", mysql=No("||"), tsql=No("||")),
    _case("|| of numbers", item, {"a": 1, "b": 2}, "12", "a || b", postgres=No("|| without a text"), mysql=No("||"), tsql=No("||")),
    _case("CONCAT with NULL", item, {"t": "a"}, "a", "CONCAT(t, u)", mysql="CONCAT(t, '')", oracle=No("CONCAT()")),
    _case("CONCAT with NULL, MySQL", item, {"t": "a"}, None, mysql="CONCAT(t, u)"),
    _case("CONCAT with a number", item, {"t": "a", "a": 3}, "a-3", "CONCAT(t, '-', a)", oracle=No("CONCAT()")),
    _case("+ of texts", item, {"t": "a", "u": "b"}, "a/b", "t + '/' + u", postgres=No("arithmetic on a text"), mysql=No("arithmetic on a text"), oracle=No("arithmetic on a text")),
    _case("+ of texts with NULL", item, {"t": "a"}, None, tsql="t + u"),
    _case("+ of a text and a number", item, {"t": "a"}, None, tsql=No("concatenation of a number", "t + a")),
    _case("N'..'", item, {"a": 1}, "Zürich", "CASE WHEN a = 1 THEN N'Zürich' END"),
    _case("quotes in a text", item, {"a": 1}, "it's", "CASE WHEN a = 1 THEN 'it''s' END"),
    _case("backslash in a text", item, {"a": 1}, "a\\b", r"CASE WHEN a = 1 THEN 'a\b' END", mysql=r"CASE WHEN a = 1 THEN 'a\\b' END"),
    # ---- CHAR padding
    _case("CHAR as a key", item, {"c": "A   "}, "A", "c"),
    _case("CHAR = text literal", where, {"c": "A   "}, True, "c = 'A'"),
    _case("CHAR beside VARCHAR", where, {"c": "A   ", "t": "A"}, True, "c = t", postgres=No("CHAR beside VARCHAR"), tsql=No("CHAR beside VARCHAR"), oracle=No("CHAR beside VARCHAR")),
    _case("CHAR, concatenated", item, {"c": "A   "}, "A/", postgres="c || '/'", mysql="CONCAT(c, '/')", tsql=No("CHAR keeps its padding", "c + '/'"), oracle=No("CHAR keeps its padding", "c || '/'")),
    _case("CHAR, trimmed and concatenated", item, {"c": "A   "}, "A/", "RTRIM(c) || '/'", mysql="CONCAT(RTRIM(c), '/')", tsql="RTRIM(c) + '/'"),
    _case("UPPER of CHAR", item, {"c": "a   "}, "A", "UPPER(c)", tsql=No("CHAR keeps its padding"), oracle=No("CHAR keeps its padding")),
    # ---- collations and empty texts
    _case("case in =", where, {"t": "Bolt"}, False, postgres="t = 'BOLT'", oracle="t = 'BOLT'"),
    _case("case in =, folded", where, {"t": "Bolt"}, True, mysql="t = 'BOLT'", tsql="t = 'BOLT'"),
    _case("trailing blanks in =", where, {"t": "A "}, False, postgres="t = 'A'", oracle="t = 'A'"),
    _case("trailing blanks in =, padded", where, {"t": "A "}, True, mysql="t = 'A'", tsql="t = 'A'"),
    _case("case in IN, folded", where, {"t": "b"}, True, mysql="t IN ('A', 'B')", tsql="t IN ('A', 'B')"),
    _case("binary collation", where, {"t": "Bolt"}, False, **_each("t{0} = 'BOLT'", _BIN)),
    _case("other collation", where, {"t": "A"}, True, postgres=No("COLLATE en-x-icu", """t COLLATE "en-x-icu" = 'A'"""), mysql=No("COLLATE utf8mb4_general_ci", "t COLLATE utf8mb4_general_ci = 'A'"), tsql=No("COLLATE Latin1_General_CI_AS", "t COLLATE Latin1_General_CI_AS = 'A'"), oracle=No("COLLATE BINARY", "t COLLATE BINARY = 'A'")),
    _case("empty text", where, {"t": ""}, True, "t = ''", oracle=No("'' is NULL")),
    _case("empty text is NULL in Oracle", where, {"t": ""}, True, oracle="t IS NULL"),
    _case("TRIM of blanks is NULL in Oracle", where, {"t": "  "}, True, oracle="TRIM(t) IS NULL"),
    # ---- casts
    _case("CAST to text", item, {"a": -7}, "-7", **_each("CAST(a AS {0})", _TEXT)),
    _case("CAST of text", item, {"t": "x"}, "x", **_each("CAST(t AS {0})", _TEXT)),
    _case("CAST of a CAST", item, {"a": -7}, "-7", postgres="CAST(CAST(a AS varchar(20)) AS varchar(30))", tsql="CAST(CAST(a AS nvarchar) AS nvarchar(30))"),
    _case("CAST to a text too short for a sign", item, {}, None, postgres=No("may cut the text", "CAST(a AS varchar(10))"), tsql=No("may cut the text", "CAST(a AS nvarchar(10))")),
    _case("CAST to a shorter text", item, {}, None, postgres=No("may cut the text", "CAST(t AS varchar(3))"), mysql=No("may cut the text", "CAST(t AS CHAR(3))"), tsql=No("may cut the text", "CAST(t AS nvarchar(3))"), oracle=No("may cut the text", "CAST(t AS VARCHAR2(3))")),
    _case("CAST to a text without a length", item, {}, None, tsql=No("loses characters", "CAST(t AS varchar)"), oracle=No("cast to a text without a length", "CAST(t AS VARCHAR2)")),
    _case("CAST to CHAR", item, {}, None, postgres=No("or padded", "CAST(t AS char(9))"), tsql=No("or padded", "CAST(t AS char(9))"), oracle=No("or padded", "CAST(t AS CHAR(9))")),
    _case("CAST to a wider number", amount, {"n": "1.25"}, (12500, 4), **_each("CAST(n AS {0})", _DEC)),
    _case("CAST to a narrower number", amount, {}, None, postgres=No("may cut", "CAST(n AS numeric(8,2))"), mysql=No("may cut", "CAST(n AS DECIMAL(8,2))"), tsql=No("may cut", "CAST(n AS decimal(8,2))"), oracle=No("may cut", "CAST(n AS NUMBER(8,2))")),
    _case("CAST that rounds", amount, {}, None, postgres=No("may cut", "CAST(n AS int)"), mysql=No("may cut", "CAST(n AS SIGNED)"), tsql=No("may cut", "CAST(n AS int)"), oracle=No("may cut", "CAST(n AS INTEGER)")),
    _case("CAST of text to a number", amount, {}, None, postgres=No("may cut", "CAST(t AS int)"), mysql=No("may cut", "CAST(t AS SIGNED)"), tsql=No("may cut", "CAST(t AS int)"), oracle=No("may cut", "CAST(t AS NUMBER)")),
    _case("CAST to another dialect's type", item, {}, None, postgres=No("a cast to STRING", "CAST(t AS string)"), mysql=No("a cast to VARCHAR", "CAST(t AS varchar(20))"), tsql=No("a cast to TEXT", "CAST(t AS text)"), oracle=No("a cast to TEXT", "CAST(t AS text)")),
    _case("CAST of a double", amount, {}, None, postgres=No("may cut", "CAST(x AS numeric(14,4))"), mysql=No("may cut", "CAST(x AS DECIMAL(14,4))"), tsql=No("may cut", "CAST(x AS decimal(14,4))"), oracle=No("may cut", "CAST(x AS NUMBER(14,4))")),
    _case("CAST of NULL", item, {}, None, **_each("CAST(NULL AS {0})", _TEXT)),
    _case("CAST of a boolean", item, {"f": True}, 1, postgres="CAST(f AS int)", tsql="CAST(f AS int)"),
    _case("CAST to a timestamp", item, {"ts": "2026-11-10T23:59:59"}, "2026-11-10T23:59:59", postgres="CAST(ts AS timestamp)", tsql="CAST(ts AS datetime2)", mysql=No("may round the time", "CAST(ts AS DATETIME)")),
    _case("CAST to a timestamp of fewer digits", item, {}, None, postgres=No("may round the time", "CAST(ts AS timestamp(0))"), tsql=No("may round the time", "CAST(ts AS datetime2(0))")),
    _case("CAST of a date to a timestamp", item, {"d": "2026-11-10"}, "2026-11-10T00:00:00", postgres="CAST(d AS timestamp)", mysql="CAST(d AS DATETIME)"),
    _case("CAST of CHAR", item, {}, None, tsql=No("CHAR keeps its padding", "CAST(c AS nvarchar(9))"), oracle=No("CHAR keeps its padding", "CAST(c AS VARCHAR2(9))")),
    _case("::", item, {"a": 7}, "7", "a::text", mysql=No("::"), tsql=No("::"), oracle=No("::")),
    # ---- conditions
    _case("= with NULL", where, {"a": 1}, False, "a = b"),
    _case("NOT (= with NULL)", where, {"a": 1}, False, "NOT (a = b)"),
    _case("NULL = NULL", where, {}, False, "a = b"),
    _case("<>", where, {"a": 1, "b": 2}, True, "a <> b"),
    _case("!=", where, {"a": 1, "b": 2}, True, "a != b"),
    _case("<= of two scales", where, {"n": "1.50", "a": 1}, False, "n <= a"),
    _case("AND, false beside unknown", where, {"a": 2}, True, "NOT (a = 1 AND b = 1)"),
    _case("OR, true beside unknown", where, {"a": 1}, True, "a = 1 OR b = 1"),
    _case("OR, false beside unknown", where, {"a": 2}, False, "NOT (a = 1 OR b = 1)"),
    _case("NOT NOT", where, {"a": 1}, True, "NOT NOT a = 1"),
    _case("BETWEEN", where, {"a": 2}, True, "a BETWEEN 1 AND 2"),
    _case("NOT BETWEEN with NULL", where, {"a": 0}, True, "a NOT BETWEEN 1 AND b"),
    _case("BETWEEN with NULL", where, {"a": 2}, False, "a BETWEEN 1 AND b"),
    _case("IN", where, {"n": "2.50"}, True, "n IN (1, 2.500)"),
    _case("NOT IN, NULL", where, {}, False, "a NOT IN (1, 2)"),
    _case("IN of columns", where, {}, None, **{d: No("IN with other than literals", "a IN (b, 1)") for d in DIALECTS}),
    _case("IS NULL", where, {}, True, "a IS NULL"),
    _case("IS NOT NULL", where, {"a": 1}, True, "a IS NOT NULL"),
    _case("NOT IS NULL", where, {}, False, "NOT a IS NULL"),
    _case("IS NULL of a double", where, {}, True, "x IS NULL"),
    _case("IS NULL of a zoned time", where, {}, True, postgres="tz IS NULL"),
    _case("= NULL", where, {}, None, **{d: No("comparison with NULL is never true", "a = NULL") for d in DIALECTS}),
    _case("comparison of a double", where, {}, None, **{d: No("comparison of a double", "x > 0") for d in DIALECTS}),
    _case("implicit cast", where, {}, None, **{d: No("types differ", "t = 5") for d in DIALECTS}),
    # ---- flags
    _case("boolean column", where, {"f": True}, True, "f", tsql=No("not a condition"), oracle=No("not a condition", "a")),
    _case("NOT boolean column, NULL", where, {}, False, postgres="NOT f", mysql="NOT f"),
    _case("int as a boolean", where, {"a": 2}, True, "a", postgres=No("not a condition"), tsql=No("not a condition"), oracle=No("not a condition")),
    _case("int or int as a boolean", where, {}, True, mysql="COALESCE(a, 1)"),
    _case("int or decimal as a boolean", where, {}, None, mysql=No("not a condition", "COALESCE(a, n)")),
    _case("IS TRUE", where, {"f": True}, True, "f IS TRUE", tsql=No("TRUE"), oracle=No("TRUE", "a IS TRUE")),
    _case("IS TRUE, NULL", where, {}, False, postgres="f IS TRUE", mysql="f IS TRUE"),
    _case("IS NOT TRUE, NULL", where, {}, True, postgres="f IS NOT TRUE", mysql="f IS NOT TRUE"),
    _case("IS FALSE", where, {"f": False}, True, "f IS FALSE", tsql=No("FALSE"), oracle=No("FALSE", "a IS FALSE")),
    _case("IS NOT FALSE, NULL", where, {}, True, postgres="f IS NOT FALSE", mysql="f IS NOT FALSE"),
    _case("(condition) IS TRUE", where, {"a": 1}, False, postgres="(a = b) IS TRUE", mysql="(a = b) IS TRUE"),
    _case("condition IS NOT TRUE", where, {"a": 1}, True, postgres="a = b IS NOT TRUE", mysql="a = b IS NOT TRUE"),
    _case("IS UNKNOWN", where, {}, True, postgres="f IS UNKNOWN", mysql="f IS UNKNOWN", tsql=No("UNKNOWN", "f IS UNKNOWN"), oracle=No("UNKNOWN", "a IS UNKNOWN")),
    _case("= TRUE", where, {"f": True}, True, "f = TRUE", tsql=No("TRUE"), oracle=No("TRUE", "a = TRUE")),
    _case("bit = 1", where, {"f": True}, True, tsql="f = 1", postgres=No("types differ", "f = 1"), mysql="f = 1"),
    _case("bit as a key", item, {"bt": False}, False, mysql="bt"),
    _case("bit = 0", where, {"bt": False}, True, mysql="bt = 0"),
    # ---- numbers
    _case("+ - of two scales", amount, {"n": "-1.25", "a": 3}, (-550, 2), "n - a + n"),
    _case("* adds the scales", amount, {"n": "1.25", "m": "-0.10"}, (-1250, 4), "n * m"),
    _case("* a literal", amount, {"n": "1.25"}, (125, 4), "n * 0.01"),
    _case("unary minus", amount, {"n": "1.25"}, (-125, 2), "-n"),
    _case("unary minus twice", amount, {"n": "1.25"}, (125, 2), "- -n"),
    _case("parentheses", amount, {"a": 5, "b": 3}, (3, 0), "a - (b - 1)"),
    _case("arithmetic with NULL", amount, {"a": 5}, (0, 0), "a + b"),
    _case("a double", amount, {"x": 0.1}, (100000000, 9), "x"),
    _case("* of doubles", amount, {"x": 2.0}, (16 * 10**36, 36), postgres="x * x * x * x", mysql="x * x * x * x"),
    _case("/", amount, {}, None, **{d: No("/ is not part", "n / 2") for d in DIALECTS}),
    _case("%", amount, {}, None, **{d: No("% is not part", "a % 2") for d in DIALECTS}),
    # ---- dates
    _case("date literal", where, {"ts": "2026-11-10T00:00:00"}, True, **_each("ts >= {0}", _DATE)),
    _case("date literal, strictly", where, {"ts": "2026-11-10T00:00:00"}, False, **_each("ts > {0}", _DATE)),
    _case("date beside a text", where, {}, None, postgres=No("types differ", "d > '2026-11-10'"), mysql=No("types differ", "d > '2026-11-10'"), tsql=No("types differ", "d > '2026-11-10'"), oracle=No("types differ", "ts > '2026-11-10'")),
    _case("DATE '..' in T-SQL", where, {}, None, tsql=No("is not SQL Server's", "d > DATE '2026-11-10'")),
    _case("CAST('..' AS DATE) in Oracle", where, {}, None, oracle=No("session's date format", "ts > CAST('2026-11-10' AS DATE)")),
    _case("CAST('..' AS datetime) in T-SQL", where, {}, None, tsql=No("datetime", "ts > CAST('2026-11-10' AS datetime)")),
    _case("date of a timestamp", item, {"ts": "2026-11-10T23:59:59"}, "2026-11-10", "CAST(ts AS date)", oracle="TRUNC(ts)"),
    _case("DATE()", item, {"ts": "2026-11-10T23:59:59"}, "2026-11-10", "DATE(ts)", tsql=No("DATE()"), oracle=No("DATE()")),
    _case("a timestamp", item, {"ts": "2026-11-10T23:59:59"}, "2026-11-10T23:59:59", "ts"),
    _case("date beside a timestamp", where, {"ts": "2026-11-10T00:00:01", "d": "2026-11-10"}, True, postgres="ts > d", mysql="ts > d", tsql="ts > d"),
    _case("today", where, {"d": TODAY}, True, **{d: s for d, s in _each("d <= {0}", _DAY).items() if d != "oracle"}),
    _case("today, strictly", where, {"d": TODAY}, False, **{d: s for d, s in _each("d < {0}", _DAY).items() if d != "oracle"}),
    _case("today beside a timestamp", where, {"ts": f"{TODAY}T00:00:01"}, True, **_each("ts > {0}", _DAY)),
    _case("today of another dialect", where, {}, None, tsql=No("CURRENT_DATE", "d <= CURRENT_DATE"), oracle=No("CURRENT_DATE", "ts <= CURRENT_DATE"), postgres=No("CURDATE()", "d <= CURDATE()"), mysql=No("GETDATE()", "d <= CAST(GETDATE() AS date)")),
    _case("today as a key", item, {"a": 1}, TODAY, postgres="CURRENT_DATE", mysql="CURDATE()"),
    _case("now", where, {}, None, postgres=No("NOW", "ts < NOW()"), mysql=No("NOW", "ts < NOW()"), tsql=No("time of day", "ts < GETDATE()"), oracle=No("time of day", "ts < SYSDATE")),
    # ---- today beside YYYYMMDD texts
    _case("char8 = today", where, {"c8": "20261122"}, True, **_each("c8 = {0}", _YMD)),
    _case("char8 <= today", where, {"c8": "20261122"}, True, **_each("c8{1} <= {0}", _YMD, _BIN)),
    _case("char8 < today", where, {"c8": "20261122"}, False, **_each("c8{1} < {0}", _YMD, _BIN)),
    _case("char8, no date, < today", where, {"c8": "00000000"}, True, **_each("c8{1} < {0}", _YMD, _BIN)),
    _case("char8, blank, < today", where, {"c8": "        "}, True, **_each("c8{1} < {0}", _YMD, _BIN)),
    _case("char8 < today, with hyphens", where, {"c8": "2026-11-"}, True, oracle="c8 < TO_CHAR(TRUNC(SYSDATE), 'YYYY-MM-DD')"),
    _case("char8 > today", where, {"c8": "20261123"}, True, **_each("NOT c8{1} <= {0}", _YMD, _BIN)),
    _case("char8, letters, > today", where, {"c8": "never   "}, True, **_each("c8{1} > {0}", _YMD, _BIN)),
    _case("char8 BETWEEN", where, {"c8": "20261101"}, True, **_each("c8{1} BETWEEN '20261101' AND {0}", _YMD, _BIN)),
    _case("text date <= today", where, {"t": "2026112"}, True, **_each("t{1} <= {0}", _YMD, _BIN)),
    _case("today as a text", item, {"a": 1}, "2026-11-22", **_each("{0}", _ISO)),
    _case("order of texts without a collation", where, {}, None, postgres=No("depends on the collation", "t <= '2026'"), mysql=No("depends on the collation", "t <= '2026'"), tsql=No("depends on the collation", "t <= '2026'")),
    _case("order beside padding", where, {"t": "A\t"}, True, mysql="t COLLATE utf8mb4_bin < 'A'", tsql="t COLLATE Latin1_General_BIN2 < 'A'"),
    _case("order of a CHAR beside a literal", where, {"c": "A   "}, True, oracle="c < 'B'"),
    _case("order of two columns", where, {}, None, **{d: No("order comparison of two texts", s) for d, s in _each("t{0} < u{0}", _BIN).items()}),
    _case("a date as another text", where, {}, None, postgres=No("a date as a text", "t = TO_CHAR(d, 'YYYYMMDD')"), mysql=No("a date as a text", "t = DATE_FORMAT(d, '%Y%m%d')"), tsql=No("CONVERT", "t = CONVERT(char(8), d, 112)"), oracle=No("as a text", "t = TO_CHAR(ts, 'YYYYMMDD')")),
    # ---- JSON
    _case("->>, a text", item, {"j": '{"k": "v\\n\\u00e9"}'}, "v\né", "j ->> 'k'", mysql=No("->>", "t ->> 'k'"), tsql=No("->>", "t ->> 'k'"), oracle=No("->>", "t ->> 'k'")),
    _case("->>, a number", item, {"j": '{"k": 1.50}'}, "1.50", postgres="j ->> 'k'"),
    _case("->>, an object", item, {"j": '{"k": {"a": 1, "b": [true, null]}}'}, '{"a": 1, "b": [true, null]}', postgres="j ->> 'k'"),
    _case("->>, null", item, {"j": '{"k": null}'}, None, postgres="j ->> 'k'"),
    _case("->>, no object", item, {"j": "[1]"}, None, postgres="j ->> 'k'"),
    _case("->> of ->", item, {}, None, postgres=No("->", "j -> 'a' ->> 'k'")),
]  # fmt: skip
