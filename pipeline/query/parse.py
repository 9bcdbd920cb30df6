"""SQL text -> checked tree: only nodes of the grammar, parameters bound, every name resolved against the catalog."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import OptimizeError, ParseError, TokenError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema
from sqlglot.tokenizer_core import Token

from pipeline.domain.catalog import Catalog, Table
from pipeline.domain.errors import PackError
from pipeline.query.binding import Params, bind
from pipeline.query.nodes import check_growth, check_nodes
from pipeline.query.place import MappingText, closest
from pipeline.query.spelling import check_ends, check_size, check_spelling

__all__ = ["Params", "Parsed", "fold_name", "parse_condition", "parse_query"]


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
    check_size(text)
    tokens = _tokens(text, catalog.dialect)
    check_spelling(text, catalog.dialect, tokens)
    tree = _tree(text, catalog.dialect)
    bind(text, tokens, tree, params, catalog.dialect)
    check_nodes(text, tree, catalog.dialect)
    tables = _resolve_tables(text, tree, catalog)
    return Parsed(text, catalog.dialect, _qualify(text, tree, catalog.dialect, tables), tokens, tables)


def parse_condition(text: MappingText, dialect: str, names: Container[str]) -> exp.Expr:
    """Check the condition of a query of the form SELECT .. FROM .. WHERE condition over columns of these `names`."""
    check_size(text)
    tokens = _tokens(text, dialect)
    check_spelling(text, dialect, tokens, names)
    tree = _tree(text, dialect)
    bind(text, tokens, tree, {}, dialect)
    check_nodes(text, tree, dialect)
    where = tree.args.get("where")
    others = [name for name, part in tree.args.items() if part and name not in ("expressions", "from_", "where")]
    if not isinstance(tree, exp.Select) or others or where is None:
        text.refuse_at(
            len(text.sql.rstrip()) - 1, "more than one condition", "write one condition, joined by AND or OR"
        )
    condition: exp.Expr = where.this
    return condition


def _tokens(text: MappingText, dialect: str) -> tuple[Token, ...]:
    try:
        return tuple(t for t in Dialect.get_or_raise(dialect).tokenize(text.sql))
    except TokenError:
        check_ends(text, dialect)
        raise PackError("the text cannot be read", f"write valid {dialect} SQL", text.at(0)) from None


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
    # the names are folded by their dialect already; a quoted one keeps its capitals
    known = MappingSchema(schema, dialect=rules, normalize=False)
    try:
        tree = normalize_identifiers(tree, dialect=rules)
        _check_aliases(text, tree)
        _check_columns(text, tree, columns, resolved=False)
        tree = qualify(
            tree, schema=known, dialect=rules, expand_alias_refs=False, validate_qualify_columns=False,
            quote_identifiers=False,
        )  # fmt: skip
    except OptimizeError as error:
        said, _, name = str(error).split("\n")[0].rpartition(": ")
        node = next((c for c in tree.find_all(exp.Column, exp.Table) if c.name == name.strip('"')), tree)
        text.refuse(node, said or name, "write alias.column with a column that exists")
    if not isinstance(tree, exp.Query):
        text.refuse(tree, "not a query", "write SELECT ..")
    _check_columns(text, tree, columns, resolved=True)
    check_growth(text, tree)
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
