"""Refusals by the tree: nodes that are not the grammar's, names a database would not take, queries that explode."""

from collections.abc import Iterable

from sqlglot import exp

from pipeline.query.fixes import NODE_FIXES
from pipeline.query.grammar import NODES
from pipeline.query.place import MappingText
from pipeline.query.reserved import RESERVED

MOST_ARMS = 200  # of a query, once WITH and derived tables are written out
LARGEST_EXPRESSION = 5_000  # nodes of one output column, likewise

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def check_nodes(text: MappingText, tree: exp.Expr, dialect: str) -> None:
    """PackError at the first node, argument or name that is not part of a mapping query."""
    for node in tree.walk():
        if isinstance(node, exp.Join):
            _check_join(text, node)
        known = NODES.get(type(node).__name__)
        if known is None:
            what, fix = NODE_FIXES.get(type(node).__name__, ("", "write it with the functions of the grammar"))
            text.refuse(node, f"{what or _sql_word(node)} is not part of a mapping query", fix)
        _check_arguments(text, node, known)
        if isinstance(node, _COMPARISONS) and any(isinstance(e, exp.Null) for e in (node.this, node.expression)):
            text.refuse(node, "a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        if isinstance(node, exp.Identifier):
            _check_name(text, node, dialect)
        if isinstance(node, exp.Subquery):
            _check_subquery(text, node)
        if isinstance(node, exp.CTE) or (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.From)):
            _check_named(text, node)


def _check_arguments(text: MappingText, node: exp.Expr, known: Iterable[str]) -> None:
    for name, value in node.args.items():
        if name not in known and value not in (None, False, []):
            if name == "query":
                text.refuse(node, "IN (subquery) is not part of a mapping query", "JOIN the table, or list values")
            text.refuse(node, f"{name.strip('_').upper()} is not part of a mapping query", "remove it")


def _sql_word(node: exp.Expr) -> str:
    return node.key.upper().replace("_", "")


def _check_join(text: MappingText, join: exp.Join) -> None:
    kinds = {"": ("", "INNER"), "LEFT": ("", "OUTER")}.get((join.side or "").upper(), ())
    plain = (join.kind or "").upper() in kinds and not join.args.get("method") and join.args.get("on") is not None
    if not plain:
        text.refuse(join, "only [INNER] JOIN .. ON and LEFT JOIN .. ON", "join a table ON its primary or unique key")


def _check_name(text: MappingText, name: exp.Identifier, dialect: str) -> None:
    after_dot = isinstance(name.parent, exp.Column) and name.parent.args.get("table") and name.arg_key == "this"
    if name.args.get("quoted") or (after_dot and dialect in ("postgres", "mysql")):
        return
    if name.name.upper() in RESERVED[dialect]:
        text.refuse(name, f"{name.name} is a word of {dialect} itself", "quote it, or take another name")


def _check_subquery(text: MappingText, node: exp.Subquery) -> None:
    if not isinstance(node.parent, exp.From | exp.Join | exp.Union | None):
        text.refuse(node, "a subquery as a value is not part of a mapping query", "JOIN the table ON its key")
    if isinstance(node.parent, exp.From | exp.Join):
        if not node.alias:
            text.refuse(node, "a derived table without a name", "write FROM (SELECT ..) name")
        if not isinstance(node.this, exp.Query):
            text.refuse(node, "parentheses around a table", "write FROM table")


def _columns(derived: exp.Expr) -> list[exp.Expr]:
    """The output columns of a derived table's first arm, which name those of all."""
    first = derived.this
    while isinstance(first, exp.Union | exp.Subquery):
        first = first.this
    return first.expressions if isinstance(first, exp.Select) else []


def _check_named(text: MappingText, derived: exp.Expr) -> None:
    for column in _columns(derived):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            text.refuse(column, "a column without a name in a derived table", "name it with AS")


def check_growth(text: MappingText, tree: exp.Expr) -> None:
    """Refuse a query that explodes when WITH and derived tables are written out; names are resolved already.

    Also two columns of one name in a derived table, which a star may bring.
    """
    _Sizes(text).of(tree)


class _Sizes:
    """Arms of a query, and the nodes of its largest output column by name."""

    def __init__(self, text: MappingText) -> None:
        self.text = text
        self.ctes: dict[str, tuple[int, dict[str, int]]] = {}

    def of(self, query: exp.Expr) -> tuple[int, dict[str, int]]:
        clause = query.args.get("with_")
        for cte in clause.expressions if clause else ():
            self.ctes[cte.alias] = self._named(cte)
        if isinstance(query, exp.Union):
            left, right = self.of(query.this), self.of(query.expression)
            columns = {n: max(s, t) for (n, s), t in zip(left[1].items(), right[1].values(), strict=False)}
            return self._few(query, left[0] + right[0]), columns
        if isinstance(query, exp.Subquery):
            return self.of(query.this)
        return self._select(query) if isinstance(query, exp.Select) else (1, {})

    def _named(self, derived: exp.Expr) -> tuple[int, dict[str, int]]:
        """A derived table or WITH query: every column has a name of its own."""
        seen = set()
        for column in _columns(derived):
            name = column.alias_or_name
            if name in seen:
                self.text.refuse(column, f"two columns are called {name} in a derived table", "name each with AS")
            seen.add(name)
        return self.of(derived.this)

    def _few(self, query: exp.Expr, arms: int) -> int:
        if arms > MOST_ARMS:
            self.text.refuse(query, f"more than {MOST_ARMS} arms, written out", "join fewer arms by UNION ALL")
        return arms

    def _select(self, select: exp.Select) -> tuple[int, dict[str, int]]:
        arms, sizes = 1, {}
        for source in (select.args["from_"].this, *(j.this for j in select.args.get("joins") or ())):
            if isinstance(source, exp.Subquery):
                arms, sizes[source.alias_or_name] = self._named(source)
            elif source.name in self.ctes:
                arms, sizes[source.alias_or_name] = self.ctes[source.name]
        conditions = [j.args["on"] for j in select.args.get("joins") or ()]
        conditions += [select.args["where"].this] if select.args.get("where") else []
        for condition in conditions:
            self._size(condition, sizes)
        return arms, {e.alias_or_name: self._size(e, sizes) for e in select.expressions}

    def _size(self, expression: exp.Expr, sizes: dict[str, dict[str, int]]) -> int:
        nodes = (sizes.get(n.table, {}).get(n.name, 1) if isinstance(n, exp.Column) else 1 for n in expression.walk())
        size = sum(nodes)
        if size > LARGEST_EXPRESSION:
            fix = "write it shorter: each use of a derived column stands for its whole expression"
            self.text.refuse(expression, f"an expression of more than {LARGEST_EXPRESSION} parts, written out", fix)
        return size
