"""SQL expressions -> Python expressions, exactly: scaled ints, three-valued logic, the dialect's NULL and text rules.

A condition has no third value here: `condition(e, True)` is Python for "e IS TRUE", `condition(e, False)` for
"e IS FALSE", and NOT swaps the two. Generated code has no side effect but := on names of its own, and cannot fail.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from pipeline.query.operands import Value, constant
from pipeline.query.scalars import Scalars
from pipeline.query.types import BOOLEAN

_COMPARISONS: Mapping[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("==", "!="),
    exp.NEQ: ("!=", "=="),
    exp.LT: ("<", ">="),
    exp.LTE: ("<=", ">"),
    exp.GT: (">", "<="),
    exp.GTE: (">=", "<"),
}

_BINARY = {"postgres": '"C"', "mysql": "utf8mb4_bin", "tsql": "Latin1_General_BIN2", "oracle": "BINARY"}
_PAD = 255


def _is_today_text(value: Value) -> bool:
    return value.type.literal and not value.is_constant


def _is_plain(value: Value) -> bool:
    """Today as a text, or a printable ASCII literal."""
    text = value.constant if value.is_constant else ""
    return (value.is_constant or value.type.literal) and isinstance(text, str) and text.isascii() and text.isprintable()


class Expressions(Scalars):
    """Compiles the expressions of one branch: values from below, conditions here."""

    def condition(self, node: exp.Expr, *, want: bool) -> str:
        """Python for "node IS TRUE" (want) or "node IS FALSE"."""
        if type(node) in _COMPARISONS:
            return self._comparison(node, want)
        visit = getattr(self, f"_is_{type(node).__name__.lower()}", None)
        result: str = visit(node, want) if visit else self._truth(node, want)
        return result

    def _is_paren(self, node: exp.Expr, want: bool) -> str:
        return self.condition(node.this, want=want)

    def _is_not(self, node: exp.Expr, want: bool) -> str:
        return self.condition(node.this, want=not want)

    def _is_and(self, node: exp.Expr, want: bool) -> str:
        both = [self.condition(e, want=want) for e in (node.this, node.expression)]
        return f"({(' and ' if want else ' or ').join(both)})"

    def _is_or(self, node: exp.Expr, want: bool) -> str:
        both = [self.condition(e, want=want) for e in (node.this, node.expression)]
        return f"({(' or ' if want else ' and ').join(both)})"

    def _is_is(self, node: exp.Expr, want: bool) -> str:
        # The PostgreSQL parser says Is(negate=True), the others Not(Is).
        want = want != bool(node.args.get("negate"))
        if isinstance(node.expression, exp.Boolean):
            code = self.condition(node.this, want=bool(node.expression.this))
            return code if want else f"(not {code})"
        if not isinstance(node.expression, exp.Null):
            self.refuse(node, "IS other than IS [NOT] NULL", "compare with =, or write IS NULL")
        value = self._testable(node.this)
        return f"({value.code} is {'' if want else 'not '}None)" if value.nullable else str(not want)

    def _testable(self, node: exp.Expr) -> Value:
        """A value, or a column of which no more can be asked than whether it is NULL."""
        value = self.columns(node.table, node.name) if isinstance(node, exp.Column) else None
        return value if value is not None and value.type.has_null_test else self.value(node)

    def _is_between(self, node: exp.Expr, want: bool) -> str:
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
        high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
        return self._is_and(exp.And(this=low, expression=high), want)

    def _is_in(self, node: exp.In, want: bool) -> str:
        if not node.expressions:
            self.refuse(node, "IN (subquery)", "join the table ON its key, or list the values")
        raw = [self.value(e) for e in (node.this, *node.expressions)]
        for value, e in zip(raw[1:], node.expressions, strict=True):
            if not value.is_constant or value.constant is None:
                self.refuse(e, "IN with other than literals", "list literals, or write a = b OR a = c")
        tested, *listed = self.unified(node, raw)
        self._check_comparable(node, tested)
        members = {repr(eval(self.folded(v), self.constants)) for v in listed}  # noqa: S307 -- our own code of a literal
        first, later = self._named(replace(tested, code=self.folded(tested)))
        known = f"{first} is not None and " if tested.nullable and not want else ""
        code = f"{later if known else first} {'in' if want else 'not in'} {{{', '.join(sorted(members))}}}"
        return f"({known}{code})"

    def _check_comparable(self, node: exp.Expr, value: Value) -> None:
        if value.type.approx:
            fix = "filter by another column: a double is compared only in sums, with a tolerance"
            self.refuse(node, "comparison of a double", fix)

    def _comparison(self, node: exp.Expr, want: bool) -> str:
        pair = [self.value(node.this), self.value(node.expression)]
        pair = self._bit_literals(pair)
        left, right = self.unified(node, pair)
        for value in (left, right):
            self._check_comparable(node, value)
        sign = _COMPARISONS[type(node)][0 if want else 1]
        sides = [replace(v, code=self.folded(v)) for v in (left, right)]
        ordered = left.type.kind == "text" and not isinstance(node, exp.EQ | exp.NEQ)
        pad = self._padding(node, pair, sides) if ordered else ""
        # None == x is false in Python too, so one side that is never NULL needs no test.
        if sign == "==" and not (left.nullable and right.nullable):
            return f"({sides[0].code} == {sides[1].code})"
        named = [self._named(v) for v in sides]
        known = "".join(f"{f} is not None and " for (f, _), v in zip(named, sides, strict=True) if v.nullable)
        return f"({known}{named[0][1]}{pad} {sign} {named[1][1]}{pad})"

    def _bit_literals(self, pair: list[Value]) -> list[Value]:
        """Bit = 1: a boolean beside the literals 0 and 1."""
        if self.dialect not in ("tsql", "mysql") or not any(v.type.kind == "boolean" for v in pair):
            return pair
        return [constant(bool(v.constant), BOOLEAN) if v.is_constant and v.constant in (0, 1) else v for v in pair]

    def _padding(self, node: exp.Expr, pair: list[Value], sides: list[Value]) -> str:
        """Code behind both texts that < compares: by code point, beside ASCII, as every character set orders it."""
        if not all(v.type.binary for v in sides):
            fix = f"write x COLLATE {_BINARY[self.dialect]} before the sign, or compare with = or IN"
            self.refuse(node, "order comparison of text depends on the collation", fix)
        if not any(_is_plain(v) for v in pair):
            self.refuse(node, "order comparison of two texts", "compare with an ASCII text, a parameter or today")
        if self.dialect == "oracle" and any(v.type.char for v in sides) and any(_is_today_text(v) for v in pair):
            self._check_width(node, sides)
        # Where blanks pad the shorter text, what sorts before a blank sorts before the text's end.
        return f".ljust({_PAD})" if any("padding" in v.type.fold for v in sides) else ""

    def _check_width(self, node: exp.Expr, sides: list[Value]) -> None:
        """Oracle compares CHAR with the VARCHAR2 that TO_CHAR yields without padding."""
        if any(v.type.size not in (8, 10) for v in sides):
            self.refuse(node, "a CHAR of another length than today's text", "write RTRIM(x)")

    def _truth(self, node: exp.Expr, want: bool) -> str:
        value = self.value(node)
        if value.type.kind == "null":
            return "False"
        if value.type.kind == "boolean" and self.dialect in ("postgres", "mysql"):
            return f"({value.code} is {want})"
        if value.type.kind == "number" and value.type.integer and self.dialect == "mysql":
            return f"bool({value.code})" if want else f"({value.code} == 0)"
        return self.refuse(node, "not a condition", "compare it with a value")
