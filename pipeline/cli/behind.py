"""The ERP's rows behind one served level, each with what people call its document and when it was last changed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pipeline.adapters import erp, kafka
from pipeline.adapters.debezium import LogReader
from pipeline.adapters.served import Documents
from pipeline.cli.comparison import Comparison
from pipeline.domain import change as c
from pipeline.domain.batches import batches
from pipeline.domain.decimals import decimal_text
from pipeline.domain.levels import StockLevels, stock_levels
from pipeline.domain.names import NONE, split_code
from pipeline.query import BadValueError
from pipeline.query.keyed import Group, Items, added, keyed
from pipeline.settings import Kafka

TAIL = 5_000
"""Records read back from the log's end: a tenth of a second, however long the log is."""

Place = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Row:
    """A row of the ERP and what it adds. `columns`: the names of its key; `result`: the result row it makes."""

    table: str
    columns: tuple[str, ...]
    pk: tuple[Any, ...]
    result: Group

    @property
    def place(self) -> Place:
        """Which row it is, comparable with what the log says."""
        return self.table, _texts(self.pk)

    @property
    def key(self) -> str:
        """Its primary key, for people."""
        return ", ".join(f"{name}={value}" for name, value in zip(self.columns, self.pk, strict=True))


def read_rows(comparison: Comparison, items: Items, *, thorough: bool) -> list[Row]:
    """Every row that adds to these items: one consistent read."""
    branches = comparison.branches
    answers = erp.read(comparison.source, [b.rows(items, thorough=thorough) for b in branches], tuple)
    return [
        Row(branch.table, branch.key, row[: len(branch.key)], comparison.view.from_erp(row[len(branch.key) :]))
        for branch, rows in zip(branches, answers, strict=True)
        for row in rows
    ]


class Sums:
    """Rows added up to levels, named as served: `documents` are those served of the item and its warehouses."""

    def __init__(self, comparison: Comparison, rows: list[Row], documents: Documents) -> None:
        applied = comparison.applied
        self.levels: StockLevels = stock_levels(applied.prefix, comparison.view, applied.stock["reserved"] or "none")
        shown = [name.removeprefix("w:") for fields in documents.values() for name in fields if name.startswith("w:")]
        self.levels.share(("warehouse", code) for code, ident in map(split_code, shown) if code and ident)
        self.levels.absorb(added(row.result for row in rows), 0, 0)
        self._rows = rows
        self._by_key = {d.key: (d.level, d.fields) for d in self.levels.documents() if d.fields}

    def numbers(self, key: str) -> dict[str, str]:
        """The fields of a level, empty where the rows make none of that key."""
        fields = self._by_key.get(key, (None, []))[1]
        return dict(zip(fields[::2], fields[1::2], strict=True))

    def rows(self, key: str) -> list[Row]:
        """The rows that make a level of an item in a warehouse."""
        level = self._by_key.get(key, (None, []))[0]
        return [row for row in self._rows if level is not None and self._idents(row) == level.idents]

    def _idents(self, row: Row) -> tuple[Any, ...]:
        shape, key = self.levels.shape, row.result[0]
        return shape.item.ident(key), shape.warehouse.ident(key)

    def detail(self, row: Row) -> dict[str, str]:
        """Where the row's stock is, by what the ERP tells apart; what is none is left out."""
        key = row.result[0]
        named = {d.name: d.codes.show(d.ident(key)) for d in self.levels.shape.detail}
        return {name: unquote(code) for name, code in named.items() if code != NONE}

    def amounts(self, rows: Collection[Row]) -> dict[str, str]:
        """What rows add, together."""
        shape = self.levels.shape
        totals = {"on_hand": sum(shape.on_hand(row.result[2]) for row in rows)}
        if shape.has_reserved:
            totals["reserved"] = sum(shape.reserved(row.result[2]) for row in rows)
        return {name: decimal_text(n, shape.scale, shape.approx) for name, n in totals.items()}


def document_numbers(comparison: Comparison, rows: list[Row]) -> dict[Place, str]:
    """The numbers that the pack's movements query gives the documents of these rows, where it has one."""
    applied, found = comparison.applied, dict[Place, str]()
    for text in (t for t in applied.mapping_texts if t.kind == "movements"):
        for branch in keyed(text, applied.schema, applied.params):
            column = "doc_no" if "doc_no" in branch.names else "doc_no_id"
            pks = dict.fromkeys(row.pk for row in rows if row.table == branch.table)
            queries = [branch.of_rows(column, some) for some in batches(pks, 1000)]
            for answer in erp.read(comparison.source, queries, tuple) if column in branch.names else ():
                found |= {(branch.table, _texts(row[:-1])): str(row[-1]) for row in answer if row[-1] is not None}
    return found


@dataclass(frozen=True)
class Stamp:
    """When a row was last changed: the commit's position and time."""

    position: c.Position | None
    time_ms: int


class _Stamps:
    """Reads records for the newest change of each row wanted; a change's commit is the END after it."""

    def __init__(self, read: Callable[[bytes | None, bytes | None], c.Change], wanted: set[Place]) -> None:
        self.found: dict[Place, Stamp] = {}
        self._read, self._wanted, self._open = read, wanted, list[Place]()

    def take(self, record: Any) -> None:
        change = self._read(record.key, record.value)
        if isinstance(change, c.End):
            self.found |= dict.fromkeys(self._open, Stamp(change.position, change.time_ms))
            self._open.clear()
        elif isinstance(change, c.RowChange | c.SnapshotRow):
            try:
                pk = change.pk if change.row is None else change.table.pk(change.row)
            except BadValueError:  # the worker quarantines it
                return
            place = change.table.name, _texts(pk if isinstance(pk, tuple) else (pk,))
            if place not in self._wanted:
                return
            if isinstance(change, c.SnapshotRow):
                self.found[place] = Stamp(change.position, change.time_ms)
            else:
                self._open.append(place)


def stamps(settings: Kafka, comparison: Comparison, rows: list[Row], *, whole: bool) -> Mapping[Place, Stamp]:
    """When these rows were last changed, as far as the log's end (or the whole of it) says."""
    reader = LogReader(comparison.source.topic_prefix, comparison.engine.tables)
    found = _Stamps(reader.read, {row.place for row in rows})
    kafka.replay(settings, comparison.applied.topics["log"], found.take, None if whole else TAIL)
    return found.found


def _texts(pk: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(map(str, pk))
