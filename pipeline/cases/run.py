"""Running cases: each plain, with every event twice, and with the events of a step in other orders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec

from pipeline.adapters.debezium import TABLE_FIELD, LogReader
from pipeline.cases.answer import Answer, Row, Rows
from pipeline.cases.compare import differences
from pipeline.cases.file import Case, CaseFile, Put
from pipeline.domain.catalog import Catalog
from pipeline.domain.change import RowChange
from pipeline.query import BadValueError, Engine

_PREFIX = "onhand.cases"
_FIELD = TABLE_FIELD.decode().strip('"')
Record = tuple[bytes, bytes | None]


@dataclass(frozen=True)
class Failure:
    """A step that did not do what it says: `manner` is plain, doubled or shuffled with its seed."""

    case: str
    step: str
    manner: str
    where: str
    says: tuple[str, ...]


@dataclass(frozen=True)
class _Event:
    put: Put
    records: tuple[Record, ...]


class Runner:
    """Runs cases on one engine, which is emptied in between."""

    def __init__(self, file: CaseFile, catalog: Catalog, engine: Engine) -> None:
        self.file, self.catalog, self.engine = file, catalog, engine
        self.reader = LogReader(_PREFIX, engine.tables)
        engine.set_today((file.today or datetime.now(UTC).date()).isoformat())

    def failures(self, shuffles: int) -> Iterator[Failure]:
        """The first failure of every case that has one."""
        for case in self.file.cases:
            manners = (_Run(self, case, manner).failure() for manner in _manners(shuffles))
            if failure := next((f for f in manners if f), None):
                yield failure


def _manners(shuffles: int) -> list["_Manner"]:
    return [
        _Manner("plain"),
        _Manner("doubled", times=2),
        *(_Manner(f"shuffled, seed {n}", seed=n) for n in range(1, shuffles + 1)),
    ]


@dataclass(frozen=True)
class _Manner:
    name: str
    times: int = 1
    seed: int | None = None

    def order(self, events: Sequence[_Event]) -> list[_Event]:
        """Events of one row keep their order; different rows come in any."""
        repeated = [e for e in events for _ in range(self.times)]
        if self.seed is None:
            return repeated
        rows = [(e.put.table, e.put.key) for e in repeated]
        queues = {row: iter([e for e in repeated if (e.put.table, e.put.key) == row]) for row in rows}
        Random(self.seed).shuffle(rows)  # noqa: S311 - an order to be had again, not a secret
        return [next(queues[row]) for row in rows]


class _Run:
    """One case in one manner, on an engine that holds nothing."""

    def __init__(self, runner: Runner, case: Case, manner: _Manner) -> None:
        self.runner, self.case, self.manner = runner, case, manner
        self.engine = runner.engine
        for table in self.engine.tables.values():
            table.clear()
        self.answers = {kind: Answer(view) for kind, view in self.engine.views.items()}
        self.stored: dict[tuple[str, tuple[Any, ...]], Row] = {}

    def failure(self) -> Failure | None:
        """The first step that fails."""
        wrong = self._feed(self.runner.file.given)
        if wrong:
            return self._failed("given", self.case.where, wrong)
        for step in self.case.steps:
            before = self._rows()
            says = self._feed(step.puts) or differences(step, before, self._rows())
            if says:
                return self._failed(step.says, step.where, says)
        return None

    def _failed(self, step: str, where: str, says: list[str]) -> Failure:
        return Failure(self.case.name, step, self.manner.name, where, tuple(says))

    def _rows(self) -> dict[str, Rows]:
        for answer in self.answers.values():
            answer.follow()
        return {kind: answer.rows() for kind, answer in self.answers.items()}

    def _feed(self, puts: Sequence[Put]) -> list[str]:
        """Feed a transaction; what the worker would put aside."""
        events = self.manner.order([_Event(p, tuple(self._records(p))) for p in puts])
        return [said for event in events for record in event.records if (said := self._read(event.put, record))]

    def _read(self, put: Put, record: Record) -> str:
        change = self.runner.reader.read(*record)
        if not isinstance(change, RowChange):
            return f"the worker would put the row at {put.where} aside: {getattr(change, 'reason', change)}"
        try:
            _ = change.table.delete(change.pk) if change.row is None else change.table.upsert(change.row)
        except BadValueError as e:
            return f"the worker would put the row at {put.where} aside: {e}"
        return ""

    def _records(self, put: Put) -> Iterator[Record]:
        """The records of the log: a row with all captured columns, or a delete and its tombstone."""
        table = self.engine.tables.get(put.table)
        if table is None:  # the pack does not read it
            return
        columns = self.runner.catalog.tables[put.table]
        pk = dict(zip(columns.primary_key, put.key, strict=True))
        key = msgspec.json.encode({"row": {**pk, _FIELD: f"{_PREFIX}.{put.table}"}})
        before = self.stored.pop((put.table, put.key), None)
        if put.gone:
            yield key, msgspec.json.encode({"before": pk, "after": None, "op": "d"})
            yield key, None
            return
        after = self.stored[put.table, put.key] = (before or {}) | put.row
        sent = {c: after.get(c) for c in table.columns}
        yield key, msgspec.json.encode({"before": None, "after": sent, "op": "c" if before is None else "u"})
