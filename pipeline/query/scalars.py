"""SQL values -> Python: literals, arithmetic in scaled ints, choices, casts."""

from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from pipeline.query.casts import Casts
from pipeline.query.operands import Value, constant
from pipeline.query.types import BOOLEAN, DATE, INTEGER, NULL, Type, fold_of
from pipeline.query.values import scaled

_MOST_STEPS = 20_000  # values of one branch; nested NULLIFs double with each level


class Scalars(Casts):
    """Everything that yields a value."""

    def value(self, node: exp.Expr) -> Value:
        """The Python of one expression."""
        visit = getattr(self, f"_{type(node).__name__.lower()}", None)
        self.steps += 1
        if self.steps > _MOST_STEPS:
            self.refuse(node, "too much in one query", "write it shorter; NULLIF and CASE x WHEN repeat their operand")
        if visit is None:
            self.refuse(node, f"{node.key.upper()} cannot stand here", "yield a value; put conditions into CASE WHEN")
        result: Value = visit(node)
        return result

    def _paren(self, node: exp.Expr) -> Value:
        return self.value(node.this)

    def _column(self, node: exp.Column) -> Value:
        value = self.columns(node.table, node.name)
        if value.type.kind == "other":
            zoned = value.type.has_null_test
            fix = (
                "ask only IS [NOT] NULL of it" if zoned else "leave it out; yield a text, number, date or flag instead"
            )
            self.refuse(node, f"a column of type {value.type.spelling}", fix)
        return value

    def _null(self, _node: exp.Expr) -> Value:
        return constant(None, NULL)

    def _boolean(self, node: exp.Expr) -> Value:
        return (
            constant(int(bool(node.this)), INTEGER) if self.dialect == "mysql" else constant(bool(node.this), BOOLEAN)
        )

    def _literal(self, node: exp.Literal) -> Value:
        if node.is_string:
            if self.dialect == "oracle" and node.name == "":
                self.refuse(node, "'' is NULL in Oracle", "write NULL")
            literal = Type("text", literal=True, fold=fold_of(self.dialect, None), size=len(node.name))
            return constant(node.name, literal)
        try:
            number = Decimal(node.name)
        except ArithmeticError:
            self.refuse(node, "not a plain number", "write digits with an optional decimal point")
        scale = max(0, -int(number.as_tuple().exponent))
        if "e" in node.name.lower():
            self.refuse(node, "a literal in scientific notation is a double", "write plain digits")
        size = max(len(number.as_tuple().digits), scale)
        type_ = Type("number", scale=scale, size=size) if "." in node.name else INTEGER
        return constant(scaled(scale)(node.name), type_)

    def _currentdate(self, _node: exp.Expr) -> Value:
        return Value("TODAY[0]", DATE, nullable=False)

    def _neg(self, node: exp.Expr) -> Value:
        value = self._number(node, self.value(node.this))
        if value.is_constant and value.constant is None:
            return value
        if value.is_constant:
            return constant(-value.constant, value.type)
        code, nullable = self._lifted([value], lambda codes: f"(-{codes[0]})")
        return Value(code, value.type, nullable)

    def _add(self, node: exp.Expr) -> Value:
        left = self.value(node.this)
        if self.dialect == "tsql" and left.type.kind == "text":
            return self._joined(node, [node.this, node.expression], null_is_empty=False)
        return self._sum_of(node, "+")

    def _sub(self, node: exp.Expr) -> Value:
        return self._sum_of(node, "-")

    def _sum_of(self, node: exp.Expr, sign: str) -> Value:
        pair = [self._number(node, self.value(e)) for e in (node.this, node.expression)]
        types = [v.type for v in pair]
        if NULL in types:
            return constant(None, NULL)
        left, right = self.unified(node, pair)
        # One digit more for the carry; unified() has checked that the digits themselves fit.
        whole = max(t.size - t.scale for t in types) + 1
        type_ = _result_type(types, left.type.scale, whole + left.type.scale)
        code, nullable = self._lifted([left, right], lambda codes: f"({codes[0]} {sign} {codes[1]})")
        return Value(code, type_, nullable)

    def _mul(self, node: exp.Expr) -> Value:
        pair = [self._number(node, self.value(e)) for e in (node.this, node.expression)]
        types = [v.type for v in pair]
        if NULL in types:
            return constant(None, NULL)
        scale, size = sum(t.scale for t in types), sum(t.size for t in types) + 1
        self._check_digits(node, Type("number", scale=scale, size=size), types, least_scale=6)
        type_ = _result_type(types, scale, size)
        code, nullable = self._lifted(pair, lambda codes: f"({codes[0]} * {codes[1]})")
        return Value(code, type_, nullable)

    def _coalesce(self, node: exp.Coalesce) -> Value:
        values = [self.value(e) for e in (node.this, *node.expressions)]
        if node.args.get("is_null"):
            self._check_isnull(node, values)
        values = self.unified(node, values)
        result = values[-1]
        for value in reversed(values[:-1]):
            if not value.nullable:
                result = value
                continue
            first, later = self._named(value)
            type_ = result.type if value.type.kind == "null" else _wider(value.type, result.type)
            result = Value(f"({result.code} if {first} is None else {later})", type_, result.nullable)
        return result

    def _check_isnull(self, node: exp.Expr, values: list[Value]) -> None:
        """T-SQL's ISNULL cuts its second argument to the type of the first."""
        first, second = (v.type for v in values[:2])
        cut = second.scale > first.scale if first.kind == "number" else bool(first.size) and not (
            0 < second.size <= first.size
        )  # fmt: skip
        if cut and second.kind == first.kind:
            self.refuse(node, "ISNULL cuts its second argument to the first one's type", "write COALESCE(a, b)")

    def _nullif(self, node: exp.Expr) -> Value:
        value = self.value(node.this)
        equal = self.condition(exp.EQ(this=node.this.copy(), expression=node.expression.copy()), want=True)
        return Value(f"(None if {equal} else {value.code})", value.type, nullable=True)

    def _case(self, node: exp.Case) -> Value:
        arms = [
            (exp.EQ(this=node.this.copy(), expression=i.this.copy()) if node.this else i.this, i.args["true"])
            for i in node.args["ifs"]
        ]
        return self._choice(node, arms, node.args.get("default"))

    def _if(self, node: exp.If) -> Value:
        return self._choice(node, [(node.this, node.args["true"])], node.args.get("false"))

    def _decodecase(self, node: exp.Expr) -> Value:
        """Oracle's DECODE; unlike CASE it finds NULL by NULL."""
        tested, *rest = node.expressions
        arms = [(_same(tested, rest[i]), rest[i + 1]) for i in range(0, len(rest) - 1, 2)]
        return self._choice(node, arms, rest[-1] if len(rest) % 2 else None)

    def _choice(self, node: exp.Expr, arms: list[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None) -> Value:
        tests = [self.condition(test, want=True) for test, _ in arms]
        raw = [self.value(e) for _, e in arms] + [self.value(default) if default is not None else constant(None, NULL)]
        values = self.unified(node, raw)
        code, type_ = values[-1].code, values[-1].type
        for test, value in zip(reversed(tests), reversed(values[:-1]), strict=True):
            code, type_ = f"({value.code} if {test} else {code})", _wider(value.type, type_)
        return Value(code, type_, nullable=any(v.nullable for v in values))


def _result_type(types: list[Type], scale: int, size: int) -> Type:
    approx = any(t.approx for t in types)
    integer = all(t.integer for t in types)
    return Type("number", scale=scale, approx=approx, integer=integer, size=0 if approx else min(size, 38))


def _wider(a: Type, b: Type) -> Type:
    """The type of a choice between two unified values."""
    if "null" in (a.kind, b.kind):
        return a if b.kind == "null" else b
    if a.kind == "number":
        size = max(a.size - a.scale, b.size - b.scale) + a.scale if a.size and b.size else 0
        return Type("number", a.scale, a.approx or b.approx, a.integer and b.integer, size)
    return replace(a, size=max(a.size, b.size) if a.size and b.size else 0, literal=a.literal and b.literal)


def _same(tested: exp.Expr, searched: exp.Expr) -> exp.Expr:
    if isinstance(searched, exp.Null):
        return exp.Is(this=tested.copy(), expression=exp.Null())
    return exp.EQ(this=tested.copy(), expression=searched.copy())
