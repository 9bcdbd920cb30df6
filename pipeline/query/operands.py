"""Values in generated code, and how two of them are brought to one type: one scale, one collation, no implicit cast."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from sqlglot import exp

from pipeline.query.place import MappingText
from pipeline.query.types import TIMESTAMP, Type

MIDNIGHT = "T00:00:00"
# Name of the memo in generated code, by what a collation ignores.
FOLDS = {"case": "CASE", "padding": "PADDING", "case_and_padding": "CASE_AND_PADDING"}
_VARIABLE = object()
_CAST_FIX = "compare and combine values of one type; there are no implicit casts"
_DATED = ({"date", "text"}, {"timestamp", "text"})
_DATE_FIX = {
    "postgres": "write DATE '2026-01-31'; beside a YYYYMMDD text TO_CHAR(CURRENT_DATE, 'YYYYMMDD')",
    "mysql": "write DATE '2026-01-31'; beside a YYYYMMDD text DATE_FORMAT(CURDATE(), '%Y%m%d')",
    "tsql": "write CAST('2026-01-31' AS date); beside a YYYYMMDD text CONVERT(char(8), GETDATE(), 112)",
    "oracle": "write DATE '2026-01-31'; beside a YYYYMMDD text TO_CHAR(SYSDATE, 'YYYYMMDD')",
}


@dataclass(frozen=True)
class Value:
    """Python code of an expression; `constant` is its value where it is known at compile time."""

    code: str
    type: Type
    nullable: bool
    constant: Any = _VARIABLE

    @property
    def is_constant(self) -> bool:
        """Known at compile time."""
        return self.constant is not _VARIABLE


def constant(value: Any, type_: Type) -> Value:
    """A value known at compile time."""
    return Value(repr(value), type_, nullable=value is None, constant=value)


Columns = Callable[[str, str], Value]


class Operands(ABC):
    """What all expressions of one branch share. `columns(alias, name)` says how a column is read."""

    def __init__(self, text: MappingText, dialect: str, columns: Columns, constants: dict[str, Any]) -> None:
        self.text, self.dialect, self.columns, self.constants = text, dialect, columns, constants
        self.names = 0
        self.steps = 0

    @abstractmethod
    def value(self, node: exp.Expr) -> Value:
        """The Python of one expression."""

    @abstractmethod
    def condition(self, node: exp.Expr, *, want: bool) -> str:
        """Python for "node IS TRUE" (want) or "node IS FALSE"."""

    def refuse(self, node: exp.Expr, what: str, fix: str = "") -> NoReturn:
        """Raise PackError at the node's place."""
        self.text.refuse(node, what, fix)

    def _named(self, value: Value) -> tuple[str, str]:
        """(code at the first use, code at later uses): a computed value that may be NULL is bound to a name."""
        if not value.nullable or value.code.isidentifier():
            return value.code, value.code
        self.names += 1
        name = f"v{self.names}"
        return f"({name} := {value.code})", name

    def _lifted(self, values: list[Value], build: Callable[[list[str]], str]) -> tuple[str, bool]:
        """build(codes), or NULL when one of the values is NULL; and whether that may happen."""
        named = [self._named(v) for v in values]
        tests = " or ".join(f"{first} is None" for (first, _), v in zip(named, values, strict=True) if v.nullable)
        code = build([later for _, later in named])
        return (f"(None if {tests} else {code})", True) if tests else (code, False)

    def _number(self, node: exp.Expr, value: Value) -> Value:
        if value.type.kind not in ("number", "null"):
            self.refuse(node, f"arithmetic on a {value.type.kind}", "compute with numeric columns only")
        return value

    def rescaled(self, value: Value, scale: int) -> Value:
        """A number at a larger scale."""
        factor = 10 ** (scale - value.type.scale)
        size = value.type.size and value.type.size + scale - value.type.scale
        type_ = replace(value.type, scale=scale, size=size, integer=value.type.integer and factor == 1)
        if factor == 1 or value.type.kind == "null":
            return value
        if value.is_constant:
            return constant(None if value.constant is None else value.constant * factor, type_)
        code, nullable = self._lifted([value], lambda codes: f"({codes[0]} * {factor})")
        return Value(code, type_, nullable)

    def unified(self, node: exp.Expr, values: list[Value]) -> list[Value]:
        """The values in one common type: one scale, timestamps beside dates, one collation."""
        known = [v.type for v in values if v.type.kind != "null"]
        kinds = {t.kind for t in known}
        if kinds == {"number"}:
            return self._unified_numbers(node, values, known)
        if kinds == {"date", "timestamp"}:
            return [self._as_timestamp(v) for v in values]
        if kinds == {"text"}:
            return self._unified_texts(node, values, known)
        if len(kinds) > 1 or "other" in kinds or "json" in kinds:
            fix = _DATE_FIX[self.dialect] if kinds in _DATED else _CAST_FIX
            self.refuse(node, f"types differ or are not supported ({', '.join(sorted(kinds))})", fix)
        return values

    def _unified_numbers(self, node: exp.Expr, values: list[Value], known: list[Type]) -> list[Value]:
        scale = max(t.scale for t in known)
        digits = max(t.size - t.scale for t in known) + scale
        self._check_digits(node, Type("number", scale=scale, size=digits), known, least_scale=0)
        return [self.rescaled(v, scale) for v in values]

    def _check_digits(self, node: exp.Expr, result: Type, operands: list[Type], *, least_scale: int) -> None:
        """SQL Server and MySQL round a result that has more digits than their DECIMAL holds.

        SQL Server shortens the decimals until 38 digits hold the number, in products to `least_scale` at least.
        """
        inexact = any(t.approx for t in operands) or not result.scale
        kept = max(38 - (result.size - result.scale), least_scale)
        if self.dialect == "tsql" and not inexact and kept < result.scale:
            fix = "multiply by fewer or narrower decimals, and write decimal literals (0.0 for 0) beside them"
            self.refuse(node, f"SQL Server rounds this: it needs {result.size} digits of 38", fix)
        if self.dialect == "mysql" and result.scale > 30 and not inexact:
            self.refuse(node, "MySQL rounds this: more than 30 decimals", "multiply by fewer decimals")

    def _as_timestamp(self, value: Value) -> Value:
        if value.type.kind != "date":
            return value
        if value.is_constant:
            return constant(None if value.constant is None else value.constant + MIDNIGHT, TIMESTAMP)
        code, nullable = self._lifted([value], lambda codes: f"({codes[0]} + {MIDNIGHT!r})")
        return Value(code, TIMESTAMP, nullable)

    def _unified_texts(self, node: exp.Expr, values: list[Value], known: list[Type]) -> list[Value]:
        columns = [t for t in known if not t.literal]
        if len({t.fold for t in columns}) > 1:
            self.refuse(node, "texts of different collations", "compare columns of one collation")
        chars = {t.char for t in columns}
        if len(chars) > 1:
            self.refuse(node, "CHAR beside VARCHAR compares by rules of its own", "use columns of one type")
        if not columns:
            return values
        size = max(t.size for t in known) if all(t.size for t in known) else 0
        common = replace(columns[0], size=size)
        return [self._like(v, common) for v in values]

    def _like(self, value: Value, common: Type) -> Value:
        if value.is_constant and isinstance(value.constant, str) and common.char:
            return constant(value.constant.rstrip(" "), common)
        return replace(value, type=common) if value.type.kind == "text" else value

    def folded(self, value: Value) -> str:
        """Code of what '=' compares."""
        fold = value.type.fold if value.type.kind == "text" else ""
        return f"{FOLDS[fold]}[{value.code}]" if fold else value.code
