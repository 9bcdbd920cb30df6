"""The public face of the mapping engine: compile a source's queries, feed rows to its tables, read its views."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import PackError
from pipeline.query import render
from pipeline.query.concern import Concern
from pipeline.query.contract import CONTRACTS
from pipeline.query.generate import Generator
from pipeline.query.layout import TablePlan
from pipeline.query.operands import FOLDS
from pipeline.query.parse import Params, parse_query
from pipeline.query.place import MappingText
from pipeline.query.plan import Planner, QueryPlan
from pipeline.query.rows import MemoryStore, Store
from pipeline.query.tables import TableFold
from pipeline.query.types import Type
from pipeline.query.values import FLOAT_SCALE, approximate, iso_date, iso_timestamp, scaled

Group = tuple[tuple[Any, ...], int, tuple[int, ...]]


@dataclass(frozen=True)
class Amount:
    """One amount of a view in units of 10**-scale. `approx`: a double feeds it, compare with a tolerance."""

    name: str
    scale: int
    approx: bool


class View:
    """The maintained answer of one query: key -> (row count, sums)."""

    def __init__(
        self, plan: QueryPlan, types: tuple[list[Type], list[Type]], generator: Generator, number: int, erp_sql: str
    ) -> None:
        self.kind = plan.parsed.text.kind
        self.keys = plan.keys
        key_types, amount_types = types
        names = generator.names
        self.amounts = tuple(Amount(n, t.scale, t.approx) for n, t in zip(plan.amounts, amount_types, strict=True))
        # A group is [row count, sums.., touched since the last drain].
        self._groups: dict[tuple[Any, ...], list[int]] = names[f"L_{number}"]
        self._drain: Callable[[], list[Group]] = names[f"drain_{number}"]
        self._erp_sql = erp_sql
        self._readers = [_key_reader(t, plan.parsed.dialect, names) for t in key_types]

    def drain(self) -> list[Group]:
        """The groups touched since the last drain, with their present figures; count 0 = the group is gone."""
        return self._drain()

    def __contains__(self, key: object) -> bool:
        """Whether a group is live."""
        group = self._groups.get(key)  # type: ignore[call-overload]  # any key may be asked for
        return group is not None and group[0] > 0

    def groups(self) -> Iterator[Group]:
        """All live groups."""
        return ((key, g[0], tuple(g[1:-1])) for key, g in self._groups.items() if g[0])

    def erp_sql(self) -> str:
        """The query to run on the ERP: keys, COUNT(*), SUM of each amount, one row a key."""
        return self._erp_sql

    def from_erp(self, row: Sequence[Any]) -> Group:
        """One row of that answer as this view holds it. Raises BadValueError for a value of another type."""
        width = len(self.keys)
        key = tuple(read(v) for read, v in zip(self._readers, row[:width], strict=True))
        sums = zip(self.amounts, row[width + 1 :], strict=True)
        return key, int(row[width]), tuple(_amount_of(a, v) for a, v in sums)


def _amount_of(amount: Amount, value: Any) -> int:
    """SUM over NULLs only is NULL on the ERP and 0 here."""
    if value is None:
        return 0
    if amount.approx:
        return approximate(value) * int(10 ** (amount.scale - FLOAT_SCALE))
    return scaled(amount.scale)(value)


def _key_reader(type_: Type, dialect: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """Turns a driver's value of a key column into the engine's."""
    if type_.kind == "text":
        return _text_reader(type_, dialect, names)
    readers: dict[str, Callable[[Any], Any]] = {
        "number": int,
        "boolean": lambda v: any(v) if isinstance(v, bytes) else bool(v),  # MySQL's driver gives a BIT as bytes
        "date": lambda v: iso_date(_iso(v)[:10]),
        "timestamp": lambda v: iso_timestamp(_iso(v)),
    }
    read = readers.get(type_.kind, str)
    return lambda value: None if value is None else read(value)


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _text_reader(type_: Type, dialect: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    fold = names[FOLDS[type_.fold]] if type_.fold else None
    spellings = names[f"SPELL_{FOLDS[type_.fold]}"] if type_.fold else {}

    def read(value: Any) -> Any:
        if value is None or (dialect == "oracle" and value == ""):
            return None
        text = str(value).rstrip(" ") if type_.char else str(value)
        return spellings.get(fold[text], text) if fold is not None else text

    return read


class Engine:
    """All queries of one source over one set of remembered rows."""

    def __init__(self, generator: Generator, views: dict[str, View], tables: dict[str, TableFold]) -> None:
        self.views, self.tables = views, tables
        self.captured = {name: table.columns for name, table in tables.items()}
        self._generator, self._concerns = generator, dict[tuple[str, str], Concern]()
        self.store = generator.store
        """Where the rows live."""

    @property
    def source(self) -> str:
        """The generated Python, in a stable order."""
        return "\n".join([self._generator.source, *(table.source for table in self.tables.values())])

    def concern(self, table: str, kind: str) -> Concern:
        """What rows of a table have to do with the groups of a view."""
        if (table, kind) not in self._concerns:
            plan = next(t for t in self._generator.tables if t.table.name == table)
            self._concerns[table, kind] = Concern(plan, self._generator, list(self.views).index(kind))
        return self._concerns[table, kind]

    def tidy(self) -> None:
        """Drop what no live group shows; cheap, but not worth doing at every transaction."""
        self._generator.forget_spellings()

    def set_today(self, iso_date: str) -> None:
        """CURRENT_DATE is `iso_date` from now on."""
        before = self._generator.names["TODAY"][0]
        if iso_date != before:
            self._generator.days.turn(before, iso_date)


def compile_source(
    texts: Sequence[MappingText],
    catalog: Catalog,
    params: Params,
    *,
    today: str = "1970-01-01",
    store: Store | None = None,
) -> Engine:
    """Compile the queries of one source. PackError names file, line, column and how to write it instead.

    `params` are the values of `:name`: a text, int or date, or a list of them for IN (:name).
    `store` is where rows live; in memory if it is left out.
    """
    shared: dict[str, TablePlan] = {}
    plans = [_plan(t, catalog, params, shared) for t in _checked(texts)]
    order = {name: i for i, name in enumerate(catalog.tables)}
    tables = sorted(shared.values(), key=lambda t: order[t.table.name])
    generator = Generator(catalog.dialect, tables, today, store or MemoryStore())
    views = {}
    for number, plan in enumerate(plans):
        with plan.parsed.text.within_reach():
            types = generator.add_query(number, plan)
        views[plan.parsed.text.kind] = View(plan, types, generator, number, render.for_erp(plan, params))
    generator.finish()
    folds = {t.table.name: TableFold(t, generator) for t in tables}
    return Engine(generator, views, folds)


def _plan(text: MappingText, catalog: Catalog, params: Params, shared: dict[str, TablePlan]) -> QueryPlan:
    with text.within_reach():
        return Planner(parse_query(text, catalog, params), shared).plan()


def _checked(texts: Sequence[MappingText]) -> Sequence[MappingText]:
    kinds = [t.kind for t in texts]
    for text in texts:
        if text.kind not in CONTRACTS:
            raise PackError(f"unknown query kind {text.kind}", f"name it {', '.join(CONTRACTS)}", text.file)
        if kinds.count(text.kind) > 1:
            raise PackError(f"two queries of kind {text.kind}", "keep one file of each kind", text.file)
    return texts
