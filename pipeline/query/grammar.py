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
    "From Where Paren Sum Neg Not Upper Lower TsOrDsToDate Date DateToDi DateToDateStr National": "this",
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
    "Collate": "this expression",
    "Var": "this",
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

MANY = 1_000


def _words(spelled: str) -> frozenset[str]:
    return frozenset(spelled.split())


# Function -> how many arguments it takes. The parser understands every dialect's functions in every dialect, with any
# number of arguments; the ERP's database does not.
_COMMON = "COALESCE:2- NULLIF:2 UPPER:1 LOWER:1 TRIM:1 CONCAT:2- CAST:1 SUM:1"


def _functions(spelled: str) -> dict[str, frozenset[int]]:
    """`NAME:1`, `NAME:1,3` or `NAME:2-` each."""
    found = {}
    for name, _, takes in (word.partition(":") for word in spelled.split()):
        few, _, many = takes.partition("-")
        found[name] = frozenset(range(int(few), MANY)) if many != few and "-" in takes else _numbers(takes)
    return found


def _numbers(listed: str) -> frozenset[int]:
    return frozenset(int(n) for n in listed.split(","))


FUNCTIONS = {
    "postgres": _functions(f"{_COMMON} LTRIM:1,2 RTRIM:1,2 SUBSTRING:3 SUBSTR:3 DATE:1 TO_CHAR:2"),
    "mysql": _functions(
        f"{_COMMON} LTRIM:1 RTRIM:1 SUBSTRING:3 SUBSTR:3 IFNULL:2 IF:3 DATE:1 CURDATE:0 CURRENT_DATE:0 DATE_FORMAT:2"
    ),
    "tsql": _functions(f"{_COMMON} LTRIM:1 RTRIM:1 SUBSTRING:3 ISNULL:2 IIF:3 GETDATE:0 CONVERT:3"),
    "oracle": _functions(
        f"{_COMMON.replace('CONCAT:2- ', '')} LTRIM:1,2 RTRIM:1,2 SUBSTR:3 NVL:2 DECODE:3- TRUNC:1 TO_CHAR:2"
    ),
}
# The types a CAST may name.
CASTS = {
    "postgres": _words(
        "INT INT2 INT4 INT8 INTEGER SMALLINT BIGINT NUMERIC DECIMAL DEC TEXT VARCHAR CHARACTER CHAR BPCHAR DATE"
        " TIMESTAMP DOUBLE FLOAT8 BOOLEAN BOOL"
    ),
    "mysql": _words("CHAR DATE DATETIME DECIMAL DOUBLE SIGNED"),
    "tsql": _words(
        "INT INTEGER SMALLINT TINYINT BIGINT DECIMAL NUMERIC DEC MONEY FLOAT VARCHAR NVARCHAR CHAR NCHAR DATE DATETIME"
        " DATETIME2 BIT"
    ),
    "oracle": _words("NUMBER INTEGER INT SMALLINT DECIMAL NUMERIC VARCHAR2 NVARCHAR2 CHAR DATE TIMESTAMP"),
}
SIGNS = _words("( ) , . ; : = <> != < <= > >= + - * || :: ->>")
# Words and types that may stand before a parenthesis without being a function.
_CLAUSES = "IN AND OR NOT WHEN THEN ELSE CASE ON WHERE FROM JOIN AS SELECT GROUP BY ALL BETWEEN IS"
_TYPES = (
    "VARCHAR VARCHAR2 NVARCHAR NVARCHAR2 CHAR NCHAR BPCHAR CHARACTER VARYING"
    " DECIMAL NUMERIC NUMBER DEC FLOAT DOUBLE DATETIME2 TIMESTAMP"
)
BEFORE_PARENTHESIS = frozenset(f"{_CLAUSES} {_TYPES}".split())
