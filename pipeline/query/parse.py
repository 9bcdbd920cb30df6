"""SQL text -> checked tree: only nodes of the grammar, parameters bound, every name resolved against the catalog."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import OptimizeError, ParseError, TokenError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.tokenizer_core import Token, TokenType

from pipeline.domain.catalog import Catalog, Table
from pipeline.domain.errors import PackError
from pipeline.query.grammar import BEFORE_PARENTHESIS, FOREIGN, FUNCTIONS, NODES, REFUSED
from pipeline.query.place import MappingText, closest

Scalar = int | str | date
Params = Mapping[str, "Scalar | list[Scalar]"]

_TODAY_FORMS = "today is CURRENT_DATE (PostgreSQL, MySQL), CAST(GETDATE() AS date) (T-SQL), TRUNC(SYSDATE) (Oracle)"


@dataclass(frozen=True)
class Parsed:
    """A checked query. Table nodes are named by a key of `tables`; columns are qualified by their table's alias."""

    text: MappingText
    dialect: str
    tree: exp.Query
    tokens: tuple[Token, ...]
    tables: Mapping[str, Table]


def fold_name(dialect: str, name: str) -> str:
    """An unquoted identifier as the dialect understands it."""
    return name if dialect == "postgres" else name.upper() if dialect == "oracle" else name.lower()


def parse_query(text: MappingText, catalog: Catalog, params: Params) -> Parsed:
    """Check and resolve one query; PackError with file:line:column and the fix where it leaves the grammar."""
    text = replace(text, sql=text.sql.replace("\r\n", "\n"))
    tokens = _tokens(text, catalog.dialect)
    _check_tokens(text, catalog.dialect, tokens)
    tree = _bind(text, _tree(text, catalog.dialect), params, catalog.dialect)
    _check_nodes(text, tree)
    tables = _resolve_tables(text, tree, catalog)
    return Parsed(text, catalog.dialect, _qualify(text, tree, catalog.dialect, tables), tokens, tables)


def _tokens(text: MappingText, dialect: str) -> tuple[Token, ...]:
    try:
        return tuple(t for t in Dialect.get_or_raise(dialect).tokenize(text.sql))
    except TokenError as error:
        raise PackError("the text ends inside a quote or comment", "close it", text.file) from error


def _check_tokens(text: MappingText, dialect: str, tokens: tuple[Token, ...]) -> None:
    """Refuse by the spelling: the only place that knows the exact position and the dialect's own words."""
    quoted = (TokenType.STRING, TokenType.IDENTIFIER, TokenType.NATIONAL_STRING)
    for i, token in enumerate(tokens):
        word = token.text.upper().partition(" ")[0] if token.text else ""
        if token.token_type in quoted or (i and tokens[i - 1].token_type == TokenType.DOT):
            continue
        called = i + 1 < len(tokens) and tokens[i + 1].token_type == TokenType.L_PAREN and word[:1].isalpha()
        is_name = token.token_type == TokenType.VAR and not called
        if not is_name and (fix := REFUSED.get(word) or FOREIGN[dialect].get(word)):
            text.refuse_at(token.start, f"{word} is not part of a mapping query", fix)
        if called and word not in FUNCTIONS[dialect] | BEFORE_PARENTHESIS:
            known = ", ".join(sorted(FUNCTIONS[dialect]))
            text.refuse_at(token.start, f"{word}() is not part of a {dialect} mapping query", f"use one of {known}")
        if word == "UNION" and (i + 1 == len(tokens) or tokens[i + 1].text.upper() != "ALL"):
            text.refuse_at(token.start, "UNION without ALL is not part of a mapping query", "write UNION ALL")


def _tree(text: MappingText, dialect: str) -> exp.Expr:
    try:
        trees = [t for t in parse(text.sql, read=dialect) if t is not None]
    except ParseError as error:
        e = error.errors[0]
        line, column = e.get("line") or 1, max(1, (e.get("col") or 1) - len(e.get("highlight") or "") + 1)
        said = str(e.get("description") or "").split(" for <class")[0].rstrip(".")
        near = f"the SQL cannot be read near {e.get('highlight')!r} ({said})"
        raise PackError(near, f"write valid {dialect} SQL", f"{text.file}:{line}:{column}") from None
    if len(trees) != 1:
        raise PackError(f"{len(trees)} statements", "write exactly one query in a file", text.at(0))
    return trees[0]


def _literal(value: Scalar) -> exp.Expr:
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    if isinstance(value, int):
        return exp.Literal.number(abs(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
    return exp.Literal.string(value)


def _bind(text: MappingText, tree: exp.Expr, params: Params, dialect: str) -> exp.Expr:
    """Parameters become typed literals; each dialect's spelling of today becomes CURRENT_DATE."""
    for mark in list(tree.find_all(exp.Placeholder)):
        _bind_one(text, mark, params)
    for node in list(tree.find_all(exp.National, exp.Cast, exp.DateTrunc, exp.Anonymous, exp.Trunc)):
        if plain := _plain(node, dialect):
            node.replace(plain)
    return tree


def _bind_one(text: MappingText, mark: exp.Expr, params: Params) -> None:
    found = re.search(rf":{re.escape(mark.name)}\b", text.sql)
    offset = found.start() if found else 0
    if mark.name not in params:
        text.refuse_at(offset, f"parameter :{mark.name} has no value", f"declare [params.{mark.name}] in pack.toml")
    value = params[mark.name]
    if not isinstance(value, list):
        mark.replace(_literal(value))
        return
    within = mark.parent
    if not isinstance(within, exp.In) or len(within.expressions) != 1:
        text.refuse_at(offset, f"list parameter :{mark.name} outside of IN", f"write x IN (:{mark.name})")
    if not value:
        text.refuse_at(offset, f"list parameter :{mark.name} is empty", f"give [params.{mark.name}] a value")
    within.set("expressions", [_literal(v) for v in value])


def _plain(node: exp.Expr, dialect: str) -> exp.Expr | None:
    """The same in the grammar's own nodes, or None."""
    if isinstance(node, exp.National):
        return exp.Literal.string(node.name)
    is_now = isinstance(node.this, exp.CurrentTimestamp)
    if dialect == "tsql" and isinstance(node, exp.Cast) and is_now and node.to.is_type(exp.DataType.Type.DATE):
        return exp.CurrentDate()
    if dialect != "oracle":
        return None
    if isinstance(node, exp.DateTrunc):
        return exp.CurrentDate() if is_now and node.args["this"].args.get("sysdate") else None
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TRUNC" and len(node.expressions) == 1:
        return exp.Date(this=node.expressions[0])
    return exp.Date(this=node.this) if isinstance(node, exp.Trunc) and not node.args.get("decimals") else None


def _check_nodes(text: MappingText, tree: exp.Expr) -> None:
    for node in tree.walk():
        known = NODES.get(type(node).__name__)
        if known is None:
            fix = (
                _TODAY_FORMS if isinstance(node, exp.CurrentTimestamp) else "write it with the functions of the grammar"
            )
            text.refuse(node, f"{_sql_word(node)} is not part of a mapping query", fix)
        for name, value in node.args.items():
            if name not in known and value not in (None, False, []):
                if name == "query":
                    text.refuse(node, "IN (subquery) is not part of a mapping query", "JOIN the table, or list values")
                text.refuse(node, f"{name.strip('_').upper()} is not part of a mapping query", "remove it")
        if isinstance(node, exp.Subquery) and not isinstance(node.parent, exp.From | exp.Join | exp.Union | None):
            text.refuse(node, "a subquery as a value is not part of a mapping query", "JOIN the table ON its key")
        if isinstance(node, exp.Join):
            _check_join(text, node)


def _sql_word(node: exp.Expr) -> str:
    return node.key.upper().replace("_", "")


def _check_join(text: MappingText, join: exp.Join) -> None:
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    plain = side in ("", "LEFT") and kind in ("", "INNER", "OUTER") and join.args.get("on") is not None
    if not plain:
        text.refuse(join, "only [INNER] JOIN .. ON and LEFT JOIN .. ON", "join a table ON its primary or unique key")


def _resolve_tables(text: MappingText, tree: exp.Expr, catalog: Catalog) -> dict[str, Table]:
    """Name every table node uniquely (t0, t1, ..): two schemas may hold tables of one name."""
    dialect = catalog.dialect
    ctes = {fold_name(dialect, c.alias) for c in tree.find_all(exp.CTE)}
    found: dict[str, Table] = {}
    for node in list(tree.find_all(exp.Table)):
        name = _folded(node.this, dialect)
        if not node.db and name in ctes:
            continue
        table = _find_table(text, node, name, catalog)
        key = next((k for k, t in found.items() if t is table), f"t{len(found)}")
        key = fold_name(dialect, key)
        found[key] = table
        alias = node.args.get("alias") or exp.TableAlias(this=node.this.copy())
        node.set("alias", alias)
        node.this.replace(exp.to_identifier(key))
        node.set("db", None)
        node.set("catalog", None)
    for cte in tree.find_all(exp.CTE):
        if any(fold_name(dialect, t.short) == fold_name(dialect, cte.alias) for t in catalog.tables.values()):
            text.refuse(cte, "a WITH query has the name of a table", "give it another name")
    return found


def _folded(name: exp.Expr, dialect: str) -> str:
    quoted = name.args.get("quoted") and dialect in ("postgres", "oracle")
    return name.name if quoted else fold_name(dialect, name.name)


def _find_table(text: MappingText, node: exp.Table, name: str, catalog: Catalog) -> Table:
    schema = _folded(node.args["db"], catalog.dialect) if node.db else None

    def matches(table: Table) -> bool:
        parts = [fold_name(catalog.dialect, p) for p in table.name.split(".")]
        return parts[-1] == name and (schema is None or schema in parts[:-1])

    tables = [t for t in catalog.tables.values() if matches(t)]
    if not tables:
        near = closest(name, (t.short for t in catalog.tables.values()))
        text.refuse(node, "no such table in the ERP's catalog", f"correct its name{near or ', or add a variant'}")
    if len(tables) > 1:
        names = ", ".join(sorted(t.name for t in tables))
        text.refuse(node, "several tables have this name", f"write one of {names}")
    return tables[0]


def _qualify(text: MappingText, tree: exp.Expr, dialect: str, tables: Mapping[str, Table]) -> exp.Query:
    # MySQL's column names ignore case everywhere; sqlglot's default for it keeps the case of tables.
    rules = "mysql, normalization_strategy=case_insensitive" if dialect == "mysql" else dialect
    columns = {k: {fold_name(dialect, c) for c in t.columns} for k, t in tables.items()}
    schema: dict[str, object] = {k: {fold_name(dialect, c): "text" for c in t.columns} for k, t in tables.items()}
    try:
        tree = normalize_identifiers(tree, dialect=rules)
        _check_aliases(text, tree)
        _check_columns(text, tree, columns, resolved=False)
        tree = qualify(
            tree, schema=schema, dialect=rules, expand_alias_refs=False, validate_qualify_columns=False,
            quote_identifiers=False,
        )  # fmt: skip
    except OptimizeError as error:
        raise PackError(str(error).split("\n")[0], "correct the name", text.file) from None
    if not isinstance(tree, exp.Query):
        text.refuse(tree, "not a query", "write SELECT ..")
    _check_columns(text, tree, columns, resolved=True)
    return tree


def _check_aliases(text: MappingText, tree: exp.Expr) -> None:
    for select in tree.find_all(exp.Select):
        source = select.args.get("from_")
        if source is None:
            text.refuse(select, "SELECT without FROM", "read from a table")
        names = [s.alias_or_name for s in (source.this, *(j.this for j in select.args.get("joins") or ()))]
        for name in names:
            if names.count(name) > 1:
                text.refuse(select, f"two sources are called {name}", "give each its own alias")


def _check_columns(text: MappingText, tree: exp.Expr, schema: Mapping[str, set[str]], *, resolved: bool) -> None:
    """Every column exists; before names are resolved only those written with their alias are looked at."""
    for select in tree.find_all(exp.Select):
        sources = (select.args["from_"].this, *(j.this for j in select.args.get("joins") or ()))
        names = {s.alias_or_name: s for s in sources}
        for column in select.find_all(exp.Column):
            if column.parent_select is not select or not (resolved or column.table):
                continue
            source = names.get(column.table)
            if source is None:
                text.refuse(column, "unknown or ambiguous column", "write alias.column with a column that exists")
            if isinstance(source, exp.Table) and source.name in schema and column.name not in schema[source.name]:
                near = closest(column.name, schema[source.name])
                text.refuse(column, "no such column in the ERP's catalog", f"correct its name{near}")
