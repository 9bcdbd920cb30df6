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
        if not isinstance(node.expression, exp.Null):
            self.refuse(node, "IS other than IS [NOT] NULL", "compare with =, or write IS NULL")
        # The PostgreSQL parser says Is(negate=True), the others Not(Is).
        want = want != bool(node.args.get("negate"))
        value = self.value(node.this)
        return f"({value.code} is {'' if want else 'not '}None)" if value.nullable else str(not want)

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
        equality = isinstance(node, exp.EQ | exp.NEQ)
        self._check_order(node, left, equality=equality)
        sign = _COMPARISONS[type(node)][0 if want else 1]
        sides = [replace(v, code=self.folded(v)) for v in (left, right)]
        # None == x is false in Python too, so one side that is never NULL needs no test.
        if sign == "==" and not (left.nullable and right.nullable):
            return f"({sides[0].code} == {sides[1].code})"
        named = [self._named(v) for v in sides]
        known = "".join(f"{f} is not None and " for (f, _), v in zip(named, sides, strict=True) if v.nullable)
        return f"({known}{named[0][1]} {sign} {named[1][1]})"

    def _bit_literals(self, pair: list[Value]) -> list[Value]:
        """Bit = 1: a boolean beside the literals 0 and 1."""
        if self.dialect not in ("tsql", "mysql") or not any(v.type.kind == "boolean" for v in pair):
            return pair
        return [constant(bool(v.constant), BOOLEAN) if v.is_constant and v.constant in (0, 1) else v for v in pair]

    def _check_order(self, node: exp.Expr, value: Value, *, equality: bool) -> None:
        if value.type.kind == "text" and not equality and self.dialect != "oracle":
            fix = "compare texts with = or IN; yield text dates as they are"
            self.refuse(node, "order comparison of text depends on the collation", fix)

    def _truth(self, node: exp.Expr, want: bool) -> str:
        value = self.value(node)
        if value.type.kind == "null":
            return "False"
        if value.type.kind == "boolean" and self.dialect in ("postgres", "mysql"):
            return f"({value.code} is {want})"
        if value.type.kind == "number" and value.type.integer and self.dialect == "mysql":
            return f"bool({value.code})" if want else f"({value.code} == 0)"
        return self.refuse(node, "not a condition", "compare it with a value")
