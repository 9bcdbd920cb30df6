"""Text functions: each dialect's rules for NULL, empty texts and padding."""

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from pipeline.query.operands import Operands, Value, constant
from pipeline.query.types import Type, fold_of, is_binary


class Texts(Operands):
    """Case, trimming, parts, concatenation, JSON keys."""

    def _text(self, node: exp.Expr, value: Value) -> Value:
        if value.type.kind not in ("text", "null"):
            self.refuse(node, f"a text function on a {value.type.kind}", "use it on text columns only")
        return value

    def _on_text(self, node: exp.Expr, build: Callable[[str], str], *, strips: bool = False) -> Value:
        """`strips`: what is left has no trailing blanks, so CHAR's padding does not matter any more."""
        value = self._text(node, self.value(node.this))
        if value.type.kind == "null":
            return value
        if value.type.char and not strips and self.dialect in ("tsql", "oracle"):
            self.refuse(node, "CHAR keeps its padding here", "write RTRIM(x)")
        code, nullable = self._lifted([value], lambda codes: build(codes[0]))
        return self._made(code, replace(value.type, char=False, literal=self._stays_literal(value.type)), nullable)

    def _stays_literal(self, type_: Type) -> bool:
        """In MySQL a text made of literals still takes the other side's collation."""
        return type_.literal and self.dialect == "mysql"

    def _made(self, code: str, type_: Type, nullable: bool) -> Value:
        """A computed text; Oracle has no empty one."""
        return (
            Value(f"({code} or None)", type_, nullable=True)
            if self.dialect == "oracle"
            else Value(code, type_, nullable)
        )

    def _collate(self, node: exp.Expr) -> Value:
        """A binary collation only: what it compares and orders is the same everywhere."""
        value, name = self._text(node, self.value(node.this)), node.expression.name
        if not is_binary(self.dialect, name) or self.dialect == "oracle":
            self.refuse(node, f"COLLATE {name}", 'only a binary collation: "C", .._bin (MySQL), .._BIN2 (T-SQL)')
        fold = fold_of(self.dialect, name)
        # A literal that is given a collation no longer takes the other side's; of today's digits all are alike.
        literal = value.type.literal and (value.type.binary or fold == value.type.fold)
        return replace(value, type=replace(value.type, fold=fold, binary=True, literal=literal))

    def _datetodi(self, _node: exp.Expr) -> Value:
        return self._today_text("TODAY[0].replace('-', '')", len("YYYYMMDD"))

    def _datetodatestr(self, _node: exp.Expr) -> Value:
        return self._today_text("TODAY[0]", len("YYYY-MM-DD"))

    def _today_text(self, code: str, size: int) -> Value:
        type_ = Type("text", literal=True, binary=True, size=size, fold=fold_of(self.dialect, None))
        return Value(code, type_, nullable=False)

    def _upper(self, node: exp.Expr) -> Value:
        return self._on_text(node, lambda code: f"UPPER({code})")

    def _lower(self, node: exp.Expr) -> Value:
        return self._on_text(node, lambda code: f"LOWER({code})")

    def _trim(self, node: exp.Trim) -> Value:
        what = node.expression
        if what is not None and not (isinstance(what, exp.Literal) and what.is_string and len(what.name) == 1):
            self.refuse(node, "TRIM of other than one character", "trim one literal character")
        if what is not None and self.dialect == "tsql":
            self.refuse(node, "TRIM takes no characters in every SQL Server", "trim blanks only")
        side = {"LEADING": "lstrip", "TRAILING": "rstrip"}.get((node.args.get("position") or "").upper(), "strip")
        strips = side != "lstrip" and what is None
        return self._on_text(node, lambda c: f"{c}.{side}({what.name if what is not None else ' '!r})", strips=strips)

    def _substring(self, node: exp.Expr) -> Value:
        ends = [node.args.get("start"), node.args.get("length")]
        if not all(isinstance(e, exp.Literal) and e.name.isdigit() and int(e.name) > 0 for e in ends):
            self.refuse(
                node,
                "SUBSTRING with other than two positive literals",
                "write two positive literals: SUBSTRING(x, 1, 4)",
            )
        start, length = (int(e.name) for e in ends if e is not None)
        return self._on_text(node, lambda code: f"{code}[{start - 1}:{start - 1 + length}]")

    def _dpipe(self, node: exp.Expr) -> Value:
        return self._joined(node, [node.this, node.expression], null_is_empty=self.dialect == "oracle")

    def _concat(self, node: exp.Expr) -> Value:
        return self._joined(node, node.expressions, null_is_empty=self.dialect != "mysql")

    def _joined(self, node: exp.Expr, parts: list[exp.Expr], *, null_is_empty: bool) -> Value:
        values = [self._part(p) for p in parts]
        if self.dialect == "postgres" and isinstance(node, exp.DPipe) and all(v.type.kind != "text" for v in values):
            self.refuse(node, "|| without a text", "cast one side to text: a::text || b")
        texts = self.unified(node, [v for v in values if v.type.kind == "text"] or [constant("", Type("text"))])
        type_ = replace(texts[0].type, size=0, char=False, literal=self._stays_literal(texts[0].type))
        if null_is_empty:
            codes = [self._or_empty(v) for v in values]
            return self._made(f"({' + '.join(codes)})", type_, nullable=False)
        code, nullable = self._lifted(values, lambda codes: f"({' + '.join(map(_as_text, codes, values))})")
        return self._made(code, type_, nullable)

    def _part(self, node: exp.Expr) -> Value:
        value = self.value(node)
        if value.type.kind == "text" and value.type.char and self.dialect in ("tsql", "oracle"):
            self.refuse(node, "CHAR keeps its padding when concatenated", "write RTRIM(x)")
        whole = value.type.kind == "number" and not value.type.scale
        number_ok = whole and not (self.dialect == "tsql" and isinstance(node.parent, exp.Add))
        if value.type.kind not in ("text", "null") and not number_ok:
            self.refuse(node, f"concatenation of a {value.type.kind}", "concatenate texts and whole numbers")
        return value

    def _or_empty(self, value: Value) -> str:
        first, later = self._named(value)
        code = _as_text(later, value)
        return f"('' if {first} is None else {code})" if value.nullable else code

    def _jsonextractscalar(self, node: exp.Expr) -> Value:
        path = node.expression
        # A parameter arrives as the literal it stands for, a key written in the text as a parsed path.
        keys = [p for p in path.expressions if isinstance(p, exp.JSONPathKey)] or [path]
        value = self.value(node.this)
        plain = len(keys) == 1 and isinstance(keys[0], exp.JSONPathKey | exp.Literal)
        if self.dialect != "postgres" or not plain or value.type.kind != "json":
            self.refuse(node, "only column ->> 'key' of a PostgreSQL json column", "read one key of the top level")
        return Value(f"JSON_KEY({value.code}, {str(keys[0].this)!r})", Type("text"), nullable=True)


def _as_text(code: str, value: Value) -> str:
    return code if value.type.kind == "text" else f"str({code})"
