"""A source's log folded, record by record, up to consistent cuts. No I/O: what comes of it is `publish`'s business.

bytes -> `adapters.debezium` -> the generated fold -> at a transaction's end: `domain.visibility`, `domain.levels`,
`domain.alerts`. Replay and live are the same path.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import structlog

from pipeline.adapters.debezium import LogReader
from pipeline.applied import Applied
from pipeline.domain import change as c
from pipeline.domain.alerts import Alert, AlertBook
from pipeline.domain.levels import StockLevels, stock_levels
from pipeline.domain.sweeps import Sweeps
from pipeline.domain.visibility import Visibility
from pipeline.query import Engine, compile_source
from pipeline.query.rows import Store
from pipeline.query.values import BadValueError

log = structlog.get_logger("onhand.worker")


class Record(Protocol):
    """A record as a Kafka client fetched it."""

    key: bytes | None
    value: bytes | None
    offset: int


class Place(NamedTuple):
    """A consistent cut: the offset of its END, and the source's position and commit time there."""

    offset: int
    position: c.Position
    time_ms: int


class StockFold:
    """Rows, levels and alerts of one source. `closing(rows)` is called before a cut of that many changed rows."""

    def __init__(
        self, engine: Engine, levels: StockLevels, reader: LogReader, swept: Mapping[str, int] | None = None
    ) -> None:
        self.engine, self.levels = engine, levels
        self.book = AlertBook(levels)
        self.visibility = Visibility(marks=lambda table: engine.store.marks(table.name))
        self.sweeps = Sweeps(swept or {}, engine.tables, lambda name: engine.store.marks(f"{name} since its sweep"))
        self._ends_replay, self._older = False, dict[str, int]()
        self.place: Place | None = None
        self.events: list[Alert] = []
        self.quarantine: dict[bytes | None, tuple[int, str]] = {}
        self.today = ""
        self.epoch: int | None = None
        self.applied_at = 0
        self.closing: Callable[[int], None] = lambda rows: None  # noqa: ARG005  # a hook's default
        self._read, self._view, self._rows = reader.read, engine.views["stock"], 0
        self._unserved = [view for kind, view in engine.views.items() if kind != "stock"]

    @property
    def rows(self) -> int:
        """Rows remembered, over all tables."""
        return sum(len(t.pks()) for t in self.engine.tables.values())

    def fold(self, record: Record) -> None:
        """Take one record. Bad data goes to quarantine; anything raised is a bug."""
        change = self._read(record.key, record.value)
        if self.visibility.in_snapshot and isinstance(change, c.RowChange | c.Begin | c.End | c.Truncated):
            # streaming began and no `last` came: the last captured table was empty, or compaction took that row
            self._snapshot_end(record.offset, None, self.place.time_ms if self.place else 0)
        if type(change) is c.RowChange:
            self._row(record, change.table, change.pk, change.row)
        elif type(change) is c.End:
            if self.visibility.end(change):
                self._close(record.offset, change.time_ms)
        elif type(change) is c.SnapshotRow:
            self._snapshot_row(record, change)
        else:
            self._rare(record, change)

    def tidy(self) -> None:
        """Forget what nobody will ask for; after a batch, as it is not worth doing at every transaction."""
        for view in self._unserved:
            view.drain()  # a view forgets its vanished groups only when drained
        self.engine.tidy()

    def _row(self, record: Record, table: Any, pk: Any, row: Any) -> None:
        self._rows += 1
        try:
            if row is None:
                table.delete(pk)
            else:
                if self.sweeps.watched and table.name in self.sweeps.watched:
                    self.sweeps.see(table.name, table.pk(row), record.offset, is_empty=not table.pks())
                table.upsert(row)
        except BadValueError as e:
            self._reject(record, c.Rejection(str(e), table.name))
            return
        if self.quarantine:
            self.quarantine.pop(record.key, None)

    def _rare(self, record: Record, change: c.Change) -> None:
        match change:
            case c.Rejection():
                self._reject(record, change)
            case c.Truncated():
                self._rows += 1  # its transaction is open: no cut before its END
                change.table.clear()
                self.sweeps.note(change.table.name, record.offset)
            case c.Control(kind="day"):
                self.today = max(self.today, str(change.value["date"]))
                self.engine.set_today(self.today)
            case c.Control(kind="epoch"):
                self.epoch = int(change.value["epoch"])
            case c.Control(kind="mapping"):
                self.applied_at = int(change.value["applied_at"])
            case _:
                pass

    def _reject(self, record: Record, rejection: c.Rejection) -> None:
        self.quarantine[record.key] = (record.offset, rejection.reason)
        log.error("row quarantined", table=rejection.table, offset=record.offset, reason=rejection.reason)

    def _snapshot_row(self, record: Record, row: c.SnapshotRow) -> None:
        if self.visibility.snapshot_row(row):
            # a table that holds something by now, or once was swept, may have rows in the log that the snapshot has not
            older = {name for name, table in self.engine.tables.items() if table.pks()} | self.sweeps.noted.keys()
            self._older = dict.fromkeys(older, record.offset)
        self._row(record, row.table, row.pk, row.row)
        if row.stage == "last":
            self._snapshot_end(record.offset, row.position, row.time_ms, row.read_ms)

    def _snapshot_end(self, offset: int, position: c.Position | None, time_ms: int, read_ms: int = 0) -> None:
        seen = self.visibility.snapshot_end(position, read_ms)
        for table in self.engine.tables.values():
            table.keep_only(seen.get(table, ()))
        for name, below in self._older.items():
            self.sweeps.note(name, below)
        self._close(offset, time_ms)

    def end_replay(self) -> None:
        """End the rows that only a compacted log still has: now, or where a transaction is open, at its end."""
        self._ends_replay = bool(self.sweeps.watched)
        if self._ends_replay and self.place is not None and not self._rows:
            self._close(self.place.offset, self.place.time_ms)

    @property
    def holds_ghosts(self) -> bool:
        """The replay has ended within a transaction, and rows may be remembered that are gone: show nothing."""
        return self._ends_replay

    def _sweep(self) -> None:
        self._ends_replay = False
        for name, seen in self.sweeps.end().items():
            self.engine.tables[name].keep_only(seen)

    def _close(self, offset: int, time_ms: int) -> None:
        if self._ends_replay:
            self._sweep()
        self.closing(self._rows)
        self._rows = 0
        self.place = Place(offset, self.visibility.served, time_ms)
        changed = self.levels.absorb(self._view.drain(), offset, time_ms)
        self.events += self.book.evaluate(changed, self.place.position, time_ms)


def new_fold(applied: Applied, topic_prefix: str, swept: Mapping[str, int], store: Store | None = None) -> StockFold:
    """An empty fold of an applied source; `swept` as noted beside its log, `store` is where rows live."""
    engine = compile_source(applied.mapping_texts, applied.schema, applied.params, store=store)
    levels = stock_levels(applied.prefix, engine.views["stock"], applied.stock["reserved"] or "none")
    return StockFold(engine, levels, LogReader(topic_prefix, engine.tables), swept)
