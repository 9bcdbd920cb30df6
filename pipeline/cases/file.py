"""The cases of a pack: read, and checked against the schema and against what its queries yield."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from pipeline.cases.text import Document
from pipeline.cases.wire import Wire, WrongValueError
from pipeline.domain.catalog import Catalog, Table
from pipeline.domain.errors import PackError
from pipeline.pack import read_text
from pipeline.query.optional import names
from pipeline.query.parse import fold_name

Row = dict[str, Any]
_TOP = ("params", "today", "given", "cases")
_STEP = ("says", "put", "del", "expect")


@dataclass(frozen=True)
class Put:
    """A row as it is written (`row`: connector's JSON by column) or, with `gone`, the key of one that is deleted."""

    table: str
    key: tuple[Any, ...]
    row: Row
    gone: bool
    where: str


@dataclass(frozen=True)
class Expected:
    """One changed row of a query: the columns it names, as the file has them."""

    columns: Row
    gone: bool
    where: str


@dataclass(frozen=True)
class Step:
    """One transaction and the rows that change with it, by kind of query."""

    says: str
    puts: tuple[Put, ...]
    expect: Mapping[str, tuple[Expected, ...]]
    where: str


@dataclass(frozen=True)
class Case:
    """Steps that follow each other."""

    name: str
    steps: tuple[Step, ...]
    where: str


@dataclass(frozen=True)
class CaseFile:
    """cases.yaml. `params` as written; rows of `given` are there before every case; `today` is CURRENT_DATE."""

    params: dict[str, Any]
    today: date | None
    given: tuple[Put, ...]
    cases: tuple[Case, ...]


def params_of(file: Path) -> dict[str, Any]:
    """`params` alone: what the pack is compiled with before its cases can be checked. Empty without a file."""
    if not file.is_file():
        return {}
    document = _open(file)
    top = document.mapping(document.root, "cases.yaml", _TOP)
    return _params(document, top)


def read(file: Path, catalog: Catalog, yields: Mapping[str, tuple[str, ...]]) -> CaseFile:
    """The cases; `yields` are the columns of each query. PackError with file:line:column where something is wrong."""
    return _Reader(_open(file), catalog, yields).read()


def _open(file: Path) -> Document:
    return Document(str(file), read_text(file))


def _params(document: Document, top: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> dict[str, Any]:
    if "params" not in top:
        return {}
    given = document.mapping(top["params"][1], "params")
    return {name: document.plain(value, f"params.{name}") for name, (_, value) in given.items()}


class _Reader:
    def __init__(self, document: Document, catalog: Catalog, yields: Mapping[str, tuple[str, ...]]) -> None:
        self.doc, self.catalog, self.yields = document, catalog, yields
        self.wire = Wire(catalog.dialect)

    def read(self) -> CaseFile:
        top = self.doc.mapping(self.doc.root, "cases.yaml", _TOP)
        if "cases" not in top:
            self.doc.refuse(self.doc.root, "there are no cases", "write cases: [{name: .., steps: [..]}]")
        given = tuple(self._puts(top["given"][1], gone=False)) if "given" in top else ()
        cases = tuple(self._case(node) for node in self.doc.items(top["cases"][1], "cases"))
        return CaseFile(_params(self.doc, top), self._today(top), given, cases)

    def _today(self, top: Mapping[str, tuple[yaml.Node, yaml.Node]]) -> date | None:
        if "today" not in top:
            return None
        day = self.doc.value(top["today"][1], "today")
        if type(day) is not date:
            self.doc.refuse(top["today"][1], "today is not a date", "write today: 2026-11-22")
        return day

    def _case(self, node: yaml.Node) -> Case:
        parts = self.doc.mapping(node, "a case", ("name", "steps"))
        if "steps" not in parts:
            self.doc.refuse(node, "a case without steps", "write steps: [{says: .., put: {..}, expect: {..}}]")
        name = str(self.doc.value(parts["name"][1], "name")) if "name" in parts else "without a name"
        steps = self.doc.items(parts["steps"][1], "steps")
        return Case(name, tuple(self._step(s, i + 1) for i, s in enumerate(steps)), self.doc.at(node))

    def _step(self, node: yaml.Node, number: int) -> Step:
        parts = self.doc.mapping(node, "a step", _STEP)
        if "expect" not in parts:
            self.doc.refuse(node, "a step without expect", "write expect: {stock: []} where nothing changes")
        says = str(self.doc.value(parts["says"][1], "says")) if "says" in parts else f"step {number}"
        puts = list(self._puts(parts["put"][1], gone=False)) if "put" in parts else []
        dels = list(self._puts(parts["del"][1], gone=True)) if "del" in parts else []
        both = {(p.table, p.key) for p in puts} & {(p.table, p.key) for p in dels}
        if both:
            where = next(d for d in dels if (d.table, d.key) in both).where
            raise PackError("this row is put and deleted in one step", "make two steps of it", where)
        return Step(says, (*puts, *dels), self._expect(parts["expect"][1]), self.doc.at(node))

    def _puts(self, node: yaml.Node, *, gone: bool) -> Iterator[Put]:
        for name, (key, rows) in self.doc.mapping(node, "tables").items():
            table = self._table(key, name)
            for row in self.doc.items(rows, name):
                yield self._put(table, row, gone=gone)

    def _table(self, node: yaml.Node, name: str) -> Table:
        found = [t for t in self.catalog.tables.values() if names(self.catalog.dialect, t, name)]
        if not found:
            known = ", ".join(t.short for t in self.catalog.tables.values())
            self.doc.refuse(node, f"there is no table {name}", f"schema.sql has {known}")
        return found[0]

    def _put(self, table: Table, node: yaml.Node, *, gone: bool) -> Put:
        columns = {fold_name(self.catalog.dialect, c): c for c in table.columns}
        row: Row = {}
        for name, (key, value) in self.doc.mapping(node, f"a row of {table.short}").items():
            column = columns.get(fold_name(self.catalog.dialect, name))
            if column is None:
                self.doc.refuse(key, f"{table.short} has no column {name}", f"it has {', '.join(table.columns)}")
            row[column] = self._cell(table, column, value)
        missing = [c for c in table.primary_key if row.get(c) is None]
        if missing or not table.primary_key:
            what = f"a row of {table.short} without its primary key"
            self.doc.refuse(node, what, f"write {', '.join(missing) or 'a primary key into schema.sql'}")
        return Put(table.name, tuple(row[c] for c in table.primary_key), row, gone, self.doc.at(node))

    def _cell(self, table: Table, column: str, node: yaml.Node) -> Any:
        value = self.doc.value(node, f"{table.short}.{column}")
        try:
            return self.wire.value(value, table.columns[column])
        except WrongValueError as e:
            written = str(node.value)
            self.doc.refuse(node, f"{table.short}.{column} {e}, not {written}", e.fix.replace("WRITTEN", written))

    def _expect(self, node: yaml.Node) -> dict[str, tuple[Expected, ...]]:
        kinds = self.doc.mapping(node, "expect", tuple(self.yields))
        return {
            kind: tuple(self._expected(kind, row) for row in self.doc.items(rows, kind))
            for kind, (_, rows) in kinds.items()
        }

    def _expected(self, kind: str, node: yaml.Node) -> Expected:
        named = self.doc.mapping(node, f"a row of {kind}", (*self.yields[kind], "gone"))
        columns = {name: self.doc.value(value, name) for name, (_, value) in named.items()}
        return Expected({n: v for n, v in columns.items() if n != "gone"}, bool(columns.get("gone")), self.doc.at(node))
