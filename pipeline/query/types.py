"""The catalog's column types in the engine's few words."""

from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipeline.domain.catalog import Column
from pipeline.query.values import FLOAT_SCALE, FREE_SCALE

_T = exp.DataType.Type
_TIMESTAMPS = (_T.TIMESTAMP, _T.DATETIME, _T.DATETIME2, _T.SMALLDATETIME, _T.TIMESTAMPNTZ)
_AS_TEXT = ("timestamp", "datetimeoffset", "enum")  # zoned times and enumerations
_INT_DIGITS = {_T.TINYINT: 3, _T.UTINYINT: 3, _T.SMALLINT: 5, _T.USMALLINT: 5, _T.BIGINT: 19, _T.UBIGINT: 20}


@dataclass(frozen=True)
class Type:
    """What the engine knows of a value.

    kind      number, text, json, date, timestamp, boolean, null, or other (unusable)
    scale     decimals of a number; its value is held as an int in units of 10**-scale
    approx    it comes from a double: compared with a tolerance only
    integer   declared as an integer
    size      digits of a number, characters of a text; 0 = unbounded or unknown
    char      CHAR(n), blank-padded by the database
    fold      what '=' ignores: '' (nothing), 'case', 'padding' or 'case_and_padding'
    literal   a text literal, or today as a text: takes the other side's collation
    binary    a text's order is that of its code points
    spelling  the ERP's own word for a type that is `other`
    flag      MySQL's BOOLEAN, a TINYINT(1): the connector sends a number, or true and false for a table it saw made
    """

    kind: str
    scale: int = 0
    approx: bool = False
    integer: bool = False
    size: int = 0
    char: bool = False
    fold: str = ""
    literal: bool = False
    binary: bool = False
    spelling: str = ""
    flag: bool = False

    @property
    def wire(self) -> Any:
        """What the connector's JSON may hold."""
        if self.flag:
            return int | bool | None
        if self.kind == "number":
            return int | None if self.integer else str | int | float | None
        return bool | None if self.kind == "boolean" else str | None

    @property
    def has_null_test(self) -> bool:
        """Whether IS NULL, at least, can be asked of it: the connector delivers some text."""
        return self.kind != "other" or self.spelling.lower().startswith(_AS_TEXT)


NULL = Type("null")
BOOLEAN = Type("boolean")
DATE = Type("date")
TIMESTAMP = Type("timestamp")
INTEGER = Type("number", integer=True, size=10)
DOUBLE = Type("number", scale=FLOAT_SCALE, approx=True)
_LONGEST_SIZE = 10  # digits
_MOST_DIGITS = 1000  # of a number, in any database


def column_type(column: Column, dialect: str) -> Type:
    """The type of a catalog column; `other` for what a mapping query cannot use."""
    try:
        declared = exp.DataType.build(column.type, dialect=dialect)
    except SqlglotError:
        return Type("other", spelling=column.type)
    type_ = sql_type(declared, column.type, dialect, column.collation)
    return replace(type_, spelling=column.type) if type_.kind == "other" else type_


def sql_type(declared: exp.DataType, spelling: str, dialect: str, collation: str | None = None) -> Type:
    """The type of a parsed SQL type, as a column's or a CAST's."""
    name = spelling.lower()
    if number := _number(declared, dialect):
        return replace(number, flag=True) if name == "tinyint(1)" else number
    if (name in ("bit", "bit(1)") and dialect in ("tsql", "mysql")) or declared.this == _T.BOOLEAN:
        return BOOLEAN if dialect != "mysql" or "bit" in name else INTEGER
    if declared.this in _TIMESTAMPS or (dialect == "oracle" and declared.this == _T.DATE):
        return TIMESTAMP
    if declared.this == _T.DATE:
        return DATE
    if declared.this in (_T.JSON, _T.JSONB):
        return Type("json")
    return _text(declared, name, dialect, collation)


def _sizes(declared: exp.DataType) -> list[int]:
    """A type's parameters. Python reads no number without end, so such a size is cut to what no database has."""
    names = [p.name for p in declared.expressions if isinstance(p, exp.DataTypeParam) and p.name.isdecimal()]
    return [int(name[:_LONGEST_SIZE]) for name in names]


def _number(declared: exp.DataType, dialect: str) -> Type | None:
    kind = declared.this
    digits = _sizes(declared)
    if kind in exp.DataType.INTEGER_TYPES and kind != _T.BIT:
        return Type("number", integer=True, size=_INT_DIGITS.get(kind, 10))
    if kind in (_T.MONEY, _T.SMALLMONEY):
        return Type("number", scale=4, size=19) if dialect == "tsql" else Type("other")
    if kind in (_T.DOUBLE, _T.FLOAT):
        return DOUBLE
    if kind not in (_T.DECIMAL, _T.BIGDECIMAL):
        return None
    if digits:
        known = Type("number", scale=digits[1] if len(digits) > 1 else 0, size=digits[0])
        return known if max(digits) <= _MOST_DIGITS else Type("other")
    # A bare DECIMAL is (10,0) in MySQL and (18,0) in SQL Server, of any scale elsewhere.
    whole = {"mysql": 10, "tsql": 18}.get(dialect)
    return Type("number", size=whole) if whole else Type("number", scale=FREE_SCALE)


def _text(declared: exp.DataType, name: str, dialect: str, collation: str | None) -> Type:
    known = declared.this in exp.DataType.TEXT_TYPES or name in ("uuid", "uniqueidentifier", "bpchar")
    if not known or declared.this == _T.NAME:
        return Type("other")
    sizes = _sizes(declared)
    # MySQL gives and compares a CHAR without its padding, so it is a text like any other.
    char = dialect != "mysql" and (declared.this in (_T.CHAR, _T.NCHAR) or name == "bpchar")
    size = sizes[0] if sizes else 0
    return Type("text", char=char, fold=fold_of(dialect, collation), size=size, binary=is_binary(dialect, collation))


def fold_of(dialect: str, collation: str | None) -> str:
    """What '=' ignores under a collation; None is the database's usual one."""
    if dialect not in ("mysql", "tsql"):
        return ""
    name = (collation or "").lower()
    exact_case = "_bin" in name or "_cs" in name or name == "binary"
    no_pad = dialect == "mysql" and ("_0900_" in name or "nopad" in name or name == "binary")
    return "_and_".join(["case"] * (not exact_case) + ["padding"] * (not no_pad))


def is_binary(dialect: str, collation: str | None) -> bool:
    """Whether a collation orders texts by code point. Oracle's comparison does, unless a session asks otherwise."""
    name = (collation or "").lower()
    if dialect == "postgres":
        return name in ("c", "posix", "ucs_basic")
    return dialect == "oracle" or name == "binary" or name.endswith(("_bin", "_bin2"))
