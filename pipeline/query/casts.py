"""CAST: only where the value stays what it is, by each dialect's rules for lengths, digits and dates."""

from dataclasses import replace

from sqlglot import exp

from pipeline.query.operands import MIDNIGHT, Value, constant
from pipeline.query.texts import Texts
from pipeline.query.types import DATE, DOUBLE, Type, sql_type
from pipeline.query.values import BadValueError, iso_date, iso_timestamp

_T = exp.DataType.Type
_TSQL_LENGTH = 30  # of a text type without one in CAST
_ALL_DIGITS = {"postgres": (_T.TIMESTAMP,), "tsql": (_T.DATETIME2,)}  # timestamps that round nothing


class Casts(Texts):
    """CAST, `::`, DATE() and TRUNC() of a date."""

    def _cast(self, node: exp.Cast) -> Value:
        to = sql_type(node.to, node.to.sql(self.dialect), self.dialect)
        is_literal = isinstance(node.this, exp.Literal)
        if to.kind == "date" or (to.kind == "timestamp" and is_literal and not node.to.is_type(_T.DATETIME)):
            return self._to_date(node, to)
        value = self.value(node.this)
        if value.type.kind == "null":
            return constant(None, replace(to, char=False))
        if to.kind == "text":
            return self._to_text(node, value, to)
        if to.kind == "timestamp" and value.type.kind in ("date", "timestamp"):
            return self._to_timestamp(node, value)
        if to.integer and value.type.kind == "boolean":
            code, nullable = self._lifted([value], lambda codes: f"int({codes[0]})")
            return Value(code, to, nullable)
        return self._to_number(node, value, to)

    def _to_number(self, node: exp.Expr, value: Value, to: Type) -> Value:
        own = value.type
        fits = to.approx or not to.size or 0 < own.size - own.scale <= to.size - to.scale
        is_number = to.kind == own.kind == "number" and own.scale <= to.scale
        if is_number and fits and (to.approx or not own.approx):
            return replace(self.rescaled(value, to.scale), type=DOUBLE if to.approx else to)
        wide = f": {own.size - own.scale} digits before the point" if is_number and not fits and own.size else ""
        return self.refuse(node, f"a cast that may cut or reinterpret the value{wide}", "cast only to a wider type")

    def _to_text(self, node: exp.Cast, value: Value, to: Type) -> Value:
        size = to.size or (_TSQL_LENGTH if self.dialect == "tsql" and not node.to.expressions else 0)
        if (to.char and self.dialect != "mysql") or (self.dialect == "oracle" and not size):
            self.refuse(node, "a cast to a text without a length, or padded", "cast to VARCHAR with a length, or text")
        if value.type.kind == "text" and (not size or 0 < value.type.size <= size):
            return self._as_varying(node, value, size)
        if value.type.kind == "number" and not value.type.scale and not (size and size < (value.type.size or size) + 1):
            code, nullable = self._lifted([value], lambda codes: f"str({codes[0]})")
            return Value(code, replace(to, char=False, size=size), nullable)
        return self.refuse(
            node, "a cast that may cut the text", "cast to a text type without a length, or a longer one"
        )

    def _as_varying(self, node: exp.Cast, value: Value, size: int) -> Value:
        if value.type.char and self.dialect in ("tsql", "oracle"):
            self.refuse(node, "CHAR keeps its padding here", "write RTRIM(x)")
        if self.dialect == "tsql" and not node.to.is_type(_T.NVARCHAR):
            self.refuse(node, "a cast that loses characters of other code pages", "cast to nvarchar(n)")
        return replace(value, type=replace(value.type, size=size, char=False))

    def _to_timestamp(self, node: exp.Cast, value: Value) -> Value:
        keeps = node.to.this in _ALL_DIGITS.get(self.dialect, ()) and not node.to.expressions
        if value.type.kind == "timestamp" and not keeps:
            self.refuse(node, "a cast that may round the time", "yield the timestamp as it is, or its date")
        return self._as_timestamp(value)

    def _to_date(self, node: exp.Expr, to: Type = DATE) -> Value:
        literal = node.this
        if isinstance(literal, exp.Literal) and literal.is_string:
            try:
                return constant(iso_date(literal.name) if to.kind == "date" else self._literal_time(literal.name), to)
            except BadValueError:
                self.refuse(node, "not an ISO date", "write 'YYYY-MM-DD'")
        value = self.value(literal)
        if value.type.kind == "null":
            return constant(None, DATE)
        if value.type.kind == "date":
            return value
        if value.type.kind != "timestamp":
            self.refuse(node, f"the date of a {value.type.kind}", "take the date of a date or timestamp without zone")
        code, nullable = self._lifted([value], lambda codes: f"{codes[0]}[:10]")
        return Value(code, DATE, nullable)

    @staticmethod
    def _literal_time(text: str) -> str:
        return iso_timestamp(text if len(text) > len("YYYY-MM-DD") else text + MIDNIGHT)

    _date = _tsordstodate = _to_date
