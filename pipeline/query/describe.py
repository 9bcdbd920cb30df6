"""What a compiled query is made of, in plain words: for people who write packs."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from pipeline.domain.catalog import Catalog
from pipeline.query.contract import CONTRACTS
from pipeline.query.engine import Amount, compile_source
from pipeline.query.parse import Params, parse_query
from pipeline.query.place import MappingText
from pipeline.query.plan import Branch, Join, Planner


@dataclass(frozen=True)
class Lookup:
    """A join: one row of `table`, found by the unique key `columns` from what `parent` has (one may be a constant)."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    left: bool


@dataclass(frozen=True)
class Search:
    """To find the rows of one item or order, the ERP searches `table` by these columns."""

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """One query: its keys with their roles (see `roles`), amounts, the tables its rows come from, joins, searches."""

    kind: str
    keys: dict[str, str]
    amounts: tuple[Amount, ...]
    roots: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    searches: tuple[Search, ...]


def roles(kind: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Each key of a query as `identity`, `label` (what people read for an id) or `attribute` (pack contract)."""
    identity = CONTRACTS[kind].identity
    if "line_id" in keys:
        identity = tuple(n for n in ("org", "doc_type", "line", "leg") if n in identity)

    def role(name: str) -> str:
        if f"{name}_id" in keys:
            return "label"
        return "identity" if name.removesuffix("_id") in identity else "attribute"

    return {name: role(name) for name in keys}


def describe(text: MappingText, catalog: Catalog, params: Params) -> Described:
    """One query of a pack. Raises PackError for everything that compiling it would."""
    view = compile_source([text], catalog, params).views[text.kind]
    plan = Planner(parse_query(text, catalog, params), {}).plan()
    subject = "order_no" if text.kind == "orders" else "item"
    at = plan.keys.index(f"{subject}_id" if f"{subject}_id" in plan.keys else subject)
    return Described(
        text.kind,
        roles(text.kind, plan.keys),
        view.amounts,
        tuple(dict.fromkeys(b.tables[b.root].table.name for b in plan.branches)),
        tuple(dict.fromkeys(_lookup(b, j) for b in plan.branches for j in b.joins)),
        tuple(dict.fromkeys(s for b in plan.branches for s in _searches(b, b.keys[at]))),
    )


def _lookup(branch: Branch, join: Join) -> Lookup:
    parent = branch.tables[join.parent]
    columns = tuple(join.table.column(c).name for c in join.key)
    theirs = tuple(parent.shown(e.name) if isinstance(e, exp.Column) else e.sql() for _, e in join.pairs)
    return Lookup(join.table.table.name, columns, parent.table.name, theirs, join.left)


def _searches(branch: Branch, subject: exp.Expr) -> Iterator[Search]:
    """From the columns that name the item up the joins to the root: each step searches a table by columns."""
    joins = {j.alias: j for j in branch.joins}
    columns = list(subject.find_all(exp.Column))
    for alias in dict.fromkeys(c.table for c in columns):
        own, at = branch.tables[alias], alias
        yield Search(own.table.name, tuple(dict.fromkeys(own.column(c.name).name for c in columns if c.table == alias)))
        while at != branch.root:
            join = joins[at]
            at, parent = join.parent, branch.tables[join.parent]
            yield Search(parent.table.name, tuple(parent.shown(c) for _, c in join.parent_columns))
