"""What a mapping query may contain. Everything that is not listed here is refused.

The lists name sqlglot's node classes with every argument they may carry: sqlglot adds both between versions, and an
argument nobody looked at would silently change a query's meaning. Hence its exact pin.
"""

_NODES = {
    "Select": "expressions from_ joins where group with_",
    "Union": "this expression with_",
    "Join": "this on side kind",
    "Group": "expressions",
    "Table": "this alias db catalog",
    "From Where Paren Sum Neg Not Upper Lower TsOrDsToDate Date National": "this",
    "Null Star CurrentDate JSONPathRoot": "",
    "With": "expressions",
    "CTE Subquery Alias": "this alias",
    "TableAlias": "this",
    "Identifier": "this quoted",
    "Column": "this table",
    "Literal": "this is_string",
    "Boolean JSONPathKey": "this",
    "Add Sub Mul And Or EQ NEQ LT LTE GT GTE Nullif": "this expression",
    "Is": "this expression negate",
    "In": "this expressions",
    "Between": "this low high",
    "Case": "this ifs default",
    "If": "this true false",
    "Coalesce": "this expressions is_nvl is_null",
    "DecodeCase JSONPath": "expressions",
    "Trim": "this position expression",
    "DPipe": "this expression safe",
    "Concat": "expressions safe coalesce",
    "JSONExtractScalar": "this expression only_json_types scalar_only",
    "Substring": "this start length",
    "Cast": "this to",
    "DataType": "this expressions nested",
    "DataTypeParam": "this",
    "Placeholder": "this",
}
NODES = {name: frozenset(args.split()) for names, args in _NODES.items() for name in names.split()}

_COMMON = "COALESCE NULLIF UPPER LOWER TRIM LTRIM RTRIM CONCAT CAST SUM"
# The parser understands every dialect's functions in every dialect; the ERP's database does not.
FUNCTIONS = {
    "postgres": frozenset(f"{_COMMON} SUBSTRING SUBSTR".split()),
    "mysql": frozenset(f"{_COMMON} SUBSTRING SUBSTR IFNULL IF DATE CURDATE CURRENT_DATE".split()),
    "tsql": frozenset(f"{_COMMON} SUBSTRING ISNULL IIF GETDATE".split()),
    "oracle": frozenset(f"{_COMMON} SUBSTR NVL DECODE TRUNC".split()) - {"CONCAT"},
}
# Words and types that may stand before a parenthesis without being a function.
_CLAUSES = "IN AND OR NOT WHEN THEN ELSE CASE ON WHERE FROM JOIN AS SELECT GROUP BY ALL BETWEEN IS"
_TYPES = (
    "VARCHAR VARCHAR2 NVARCHAR NVARCHAR2 CHAR NCHAR BPCHAR CHARACTER VARYING"
    " DECIMAL NUMERIC NUMBER DEC FLOAT DOUBLE DATETIME2 TIMESTAMP"
)
BEFORE_PARENTHESIS = frozenset(f"{_CLAUSES} {_TYPES}".split())

_ONE_ROW = "yield the rows themselves: rows with the same identity are added by onhand"
_EXACT = "yield the stored number; amounts are kept exactly at its scale"
_KEY_JOIN = "write [INNER] JOIN or LEFT JOIN table ON its whole primary or unique key"
# Word or sign -> how to write it instead.
REFUSED = {
    "DISTINCT": "remove it, and join on a unique key so that no row comes twice",
    "HAVING": "filter the rows with WHERE",
    "LIKE": "compare with = or IN, or the beginning with SUBSTRING(x, 1, n) = '..'",
    "ILIKE": "compare with = or IN",
    "REGEXP": "compare with = or IN",
    "RLIKE": "compare with = or IN",
    "SIMILAR": "compare with = or IN",
    "ORDER": "remove it: a mapping is a set of rows",
    "LIMIT": "remove it: a mapping is all rows",
    "OFFSET": "remove it: a mapping is all rows",
    "FETCH": "remove it: a mapping is all rows",
    "TOP": "remove it: a mapping is all rows",
    "OVER": _ONE_ROW,
    "COUNT": _ONE_ROW,
    "MIN": _ONE_ROW,
    "MAX": _ONE_ROW,
    "AVG": _ONE_ROW,
    "EXISTS": _KEY_JOIN,
    "ANY": "write x IN ('a', 'b') or IN (:list)",
    "RIGHT": "swap the tables and write LEFT JOIN",
    "FULL": "write two arms joined by UNION ALL",
    "CROSS": _KEY_JOIN,
    "NATURAL": _KEY_JOIN,
    "USING": _KEY_JOIN,
    "LATERAL": _KEY_JOIN,
    "RECURSIVE": "write a chain of LEFT JOINs, one a level",
    "INTERSECT": "filter the rows with WHERE",
    "EXCEPT": "filter the rows with WHERE",
    "MINUS": "filter the rows with WHERE",
    "ROUND": _EXACT,
    "ABS": "write CASE WHEN x < 0 THEN -x ELSE x END",
    "/": "multiply instead, e.g. * 0.01",
    "%": "yield the stored number",
    "NOW": "compare dates with CURRENT_DATE",
    "CURRENT_TIMESTAMP": "compare dates with today's date (CURRENT_DATE; CAST(GETDATE() AS date); TRUNC(SYSDATE))",
    "CONVERT": "write CAST(x AS type)",
    "INSERT": "a mapping only reads",
    "UPDATE": "a mapping only reads",
    "DELETE": "a mapping only reads",
    "DROP": "a mapping only reads",
}
# Spelled as another dialect spells it.
FOREIGN = {
    "postgres": {},
    "mysql": {"||": "write CONCAT(a, b)", "::": "write CAST(x AS type)"},
    "tsql": {
        "||": "write a + b or CONCAT(a, b)",
        "::": "write CAST(x AS type)",
        "CURRENT_DATE": "write CAST(GETDATE() AS date)",
        "TRUE": "compare the bit with 1",
        "FALSE": "compare the bit with 0",
    },
    "oracle": {
        "::": "write CAST(x AS type)",
        "CURRENT_DATE": "write TRUNC(SYSDATE): CURRENT_DATE has a time of day in Oracle",
        "TRUE": "yield 1",
        "FALSE": "yield 0",
    },
}
