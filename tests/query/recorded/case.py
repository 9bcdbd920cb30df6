"""A mapping, histories as the log told them, and what the database answered; and the comparison, without a server."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from pipeline.domain.catalog import Catalog
from pipeline.domain.levels import StockLevels, expected_documents, stock_levels
from pipeline.query import Engine, MappingText, View, compile_source
from tests.query.differential.compare import Drained, difference
from tests.query.differential.history import FIRST_DAY, Event, Feed
from tests.query.recorded.documents import PREFIX, Serving, serving_of

FILE = Path(__file__).parent / "answers.json.gz"
_READERS = {"Decimal": Decimal, "date": date.fromisoformat, "datetime": datetime.fromisoformat, "UUID": UUID}
Documents = dict[str, dict[str, str]]


@dataclass
class History:
    """`feed`: what the log told, None = a reader looked. `answers`: the database's rows by kind."""

    feed: list[Event | None]
    answers: dict[str, list[Sequence[Any]]]
    documents: Documents = field(default_factory=dict)
    negative: dict[str, str] = field(default_factory=dict)


@dataclass
class Case:
    """`served`: PostgreSQL has said which documents the stock query's answer makes."""

    name: str
    catalog: dict[str, Any]
    queries: dict[str, str]
    params: dict[str, Any]
    histories: list[History]
    served: bool = False

    def compile(self) -> tuple[Engine, Catalog]:
        catalog = Catalog.from_dict(self.catalog)
        texts = [MappingText(kind, sql, f"{kind}.sql") for kind, sql in self.queries.items()]
        return compile_source(texts, catalog, self.params, today=FIRST_DAY), catalog

    def replay(self) -> None:
        """AssertionError where the maintained answer is not the recorded one."""
        engine, catalog = self.compile()
        for n, history in enumerate(self.histories):
            _Replay(engine, catalog, history, f"{self.name}, history {n}", served=self.served).run()


class _Replay:
    def __init__(self, engine: Engine, catalog: Catalog, history: History, where: str, *, served: bool) -> None:
        self.engine, self.history, self.where = engine, history, where
        self.feed, self.drained = Feed(engine, catalog), Drained(engine)
        self.serving = serving_of(engine.views["stock"]) if served else None
        self.levels = _levels(engine.views["stock"], self.serving) if self.serving else None
        self.documents: Documents = {}
        self.negative: dict[str, str] = {}
        self.reads = 0

    def run(self) -> None:
        for event in self.history.feed:
            if event is None:
                self._read()
            else:
                self.feed(event)
        self._read()
        for kind, view in self.engine.views.items():
            expected = [view.from_erp(row) for row in self.history.answers[kind]]
            for groups in (view.groups(), self.drained.groups[kind].values()):
                found = difference(view, groups, expected)
                assert not found, f"{self.where}, {kind}: {found}"
        if self.levels is not None:
            self._compare_documents(self.levels)
        self._forget()

    def _read(self) -> None:
        self.reads += 1
        groups = self.drained.read()
        if self.levels is None:
            return
        self.levels.absorb(groups["stock"], self.reads, self.reads)
        for document in self.levels.documents():
            assert document.offset == self.reads, self.where
            self._show(document)

    def _show(self, document: Any) -> None:
        if document.fields:
            self.documents[document.key] = _fields(document)
        else:
            self.documents.pop(document.key, None)
        assert document.recovered == (document.key in self.negative and not document.negative), self.where
        self.negative.pop(document.key, None)
        if document.negative:
            self.negative[document.key] = document.negative

    def _compare_documents(self, levels: StockLevels) -> None:
        history, view = self.history, self.engine.views["stock"]
        assert self.documents == history.documents, self.where
        assert self.negative == history.negative, self.where
        assert {d.key: _fields(d) for d in levels.all_documents()} == history.documents, self.where
        assert self.serving is not None
        groups = [view.from_erp(row) for row in history.answers["stock"]]
        usable = self.serving.usable
        assert expected_documents(PREFIX, view, self.serving.reserved, groups, usable) == history.documents, self.where

    def _forget(self) -> None:
        """Rows that are all gone leave nothing behind."""
        for table in self.engine.tables.values():
            table.clear()
        self.engine.set_today(FIRST_DAY)
        self._read()
        assert not any(list(view.groups()) for view in self.engine.views.values()), self.where
        assert not self.documents, self.where
        assert self.levels is None or not self.levels.levels, self.where


def _levels(view: View, serving: Serving) -> StockLevels:
    return stock_levels(PREFIX, view, serving.reserved, serving.usable)


def _fields(document: Any) -> dict[str, str]:
    return dict(zip(document.fields[::2], document.fields[1::2], strict=True))


# ---- the file


def save(cases: Sequence[Case]) -> None:
    text = json.dumps([_plain(c) for c in cases], ensure_ascii=False, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))


def load(file: Path = FILE) -> Iterator[Case]:
    for case in msgspec.json.decode(gzip.decompress(file.read_bytes())):
        histories = [_history(h) for h in case.pop("histories")]
        yield Case(**case | {"params": _revived(case["params"]), "histories": histories})


def _plain(case: Case) -> dict[str, Any]:
    params = {k: [_tagged(v) for v in x] if isinstance(x, list) else _tagged(x) for k, x in case.params.items()}
    histories = [_plain_history(h) for h in case.histories]
    return vars(case) | {"params": params, "histories": histories}


def _plain_history(history: History) -> dict[str, Any]:
    """Events once each, then their order: a log tells most of them several times."""
    events = list(dict.fromkeys(e for e in history.feed if e is not None))
    at = {e: i for i, e in enumerate(events)} | {None: -1}
    told = [[e.table, list(e.key), e.wire.decode(), e.is_row, e.day] for e in events]
    answers = {kind: [[_tagged(v) for v in row] for row in rows] for kind, rows in history.answers.items()}
    return vars(history) | {"events": told, "feed": [at[e] for e in history.feed], "answers": answers}


def _history(plain: dict[str, Any]) -> History:
    events = [Event(t, tuple(key), wire.encode(), is_row, day) for t, key, wire, is_row, day in plain.pop("events")]
    feed = [events[i] if i >= 0 else None for i in plain["feed"]]
    answers = {kind: [_revived(row) for row in rows] for kind, rows in plain["answers"].items()}
    return History(**plain | {"feed": feed, "answers": answers})


def _tagged(value: Any) -> Any:
    """A driver's value as JSON: [type, text] where JSON has none."""
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    return [type(value).__name__, str(value)] if isinstance(value, Decimal | date | UUID) else value


def _revived(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _revived(v) for k, v in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 2 and value[0] in _READERS:
        return _READERS[value[0]](value[1])
    if len(value) == 2 and value[0] == "bytes":
        return bytes.fromhex(value[1])
    return [_revived(v) for v in value]
