"""A source's log folded, record by record, up to consistent cuts. No I/O: what comes of it is `publish`'s business.

bytes -> `adapters.debezium` -> the generated fold -> at a transaction's end: `domain.visibility`, `domain.levels`,
`domain.alerts`. Replay and live are the same path.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pipeline.adapters.debezium import LogReader
from pipeline.domain import change as c
from pipeline.domain.alert_book import AlertBook
from pipeline.domain.alerts import Alert
from pipeline.domain.documents import Document
from pipeline.domain.items import Items
from pipeline.domain.levels import StockLevels
from pipeline.domain.movements import MovementBook
from pipeline.domain.orders import OrderBook
from pipeline.domain.quiet import Quiet
from pipeline.domain.sweeps import Sweeps
from pipeline.domain.visibility import Visibility
from pipeline.query import Engine
from pipeline.query.values import BadValueError
from pipeline.rules import Known, RuleText, compile_rules, load
from streams.beside import Movements, Orders
from streams.place import Place, Record
from streams.quarantine import Quarantine

__all__ = ["Place", "Record", "StockFold"]


class StockFold:
    """Rows, levels and alerts of one source. `closing(rows)` is called before a cut of that many changed rows."""

    def __init__(
        self,
        engine: Engine,
        levels: StockLevels,
        reader: LogReader,
        swept: Mapping[str, int] | None = None,
        quarantine: Quarantine | None = None,
        *,
        orders: OrderBook | None = None,
        movements: MovementBook | None = None,
        rules: Sequence[RuleText] | None = None,
    ) -> None:
        self.engine, self.levels, self.orders = engine, levels, orders
        self.items = Items(engine.views["items"], levels) if "items" in engine.views else None
        known = Known(levels, self.items, orders)
        self.book = AlertBook(compile_rules(load() if rules is None else rules, known))
        self.visibility = Visibility(marks=lambda table: engine.store.marks(table.name))
        self.sweeps = Sweeps(swept or {}, engine.tables, lambda name: engine.store.marks(f"{name} since its sweep"))
        self._quiet = Quiet()
        self._ends_replay, self._older = False, dict[str, int]()
        self.place: Place | None = None
        self.events: list[Alert] = []
        self.quarantine = Quarantine(engine, reader, {}, 0) if quarantine is None else quarantine
        self._put_aside = self.quarantine.rows
        self.quarantined = 0
        """How many rows were in quarantine at `place`; an open transaction may have changed that since."""
        self.today = ""
        self.epoch: int | None = None
        self.applied_at = 0
        self.closing: Callable[[int], None] = lambda rows: None  # noqa: ARG005  # a hook's default
        self.since: Mapping[str, int] = {}
        """Offsets below which a table's rows were captured for an earlier mapping: what cannot be read there is old."""
        self._read, self._view, self._rows = reader.read, engine.views["stock"], 0
        marks = self.quarantine.orders
        self._orders = Orders(orders, engine, marks) if orders is not None and marks is not None else None
        self.movements = Movements(movements, engine) if movements is not None else None
        served = {"stock", "items", self._orders and "orders", self.movements and "movements"}
        self._unserved = [view for kind, view in engine.views.items() if kind not in served]

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
            self._end(record.offset, change)
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
        if self._put_aside:
            self.quarantine.took(record, table.name)

    def _rare(self, record: Record, change: c.Change) -> None:
        match change:
            case c.Rejection():
                self._unread(record, change)
            case c.Control(kind="drop"):
                self.quarantine.drop(int(change.value["offset"]))
            case c.Truncated():
                self._rows += 1  # its transaction is open: no cut before its END
                change.table.clear()
                self.sweeps.note(change.table.name, record.offset)
                self.quarantine.sweep(change.table.name, record.offset, record.offset)
                if change.ends is not None:
                    self._end(record.offset, c.End(change.ends, change.time_ms, 1))
            case c.Begin():
                self._quiet.is_open = True
            case c.Heartbeat():
                self._heartbeat(record.offset, change.time_ms)
            case c.Control(kind="day"):
                self.today = max(self.today, str(change.value["date"]))
                if self.orders is not None:
                    self.orders.turn(self.today)
                self.engine.set_today(self.today)
                self.quarantine.stale = True
            case c.Control(kind="epoch"):
                at = c.Position(int(change.value.get("position", 0)))
                self._begin_epoch(record.offset, int(change.value["epoch"]), at)
            case c.Control(kind="mapping"):
                self.applied_at = int(change.value["applied_at"])
                if self.since and self.movements is not None:
                    self.movements.begin_after(record.offset)
            case _:
                pass

    def _end(self, offset: int, end: c.End) -> None:
        self._quiet.is_open = False
        if self.visibility.end(end):
            self._close(offset, end.time_ms)

    def _begin_epoch(self, offset: int, epoch: int, at: c.Position) -> None:
        """All rows are read anew: none from before counts, and nothing is shown until the new ones are complete."""
        self.epoch, self.place, self._rows = epoch, None, 0
        self.book.epoch = epoch
        self.visibility.begin(at)
        self.quarantine.clear(offset)
        for table in self.engine.tables.values():
            table.clear()

    def _heartbeat(self, offset: int, time_ms: int) -> None:
        complete = self._quiet.heartbeat(offset, time_ms)
        if complete is not None and not self.visibility.in_snapshot:
            # another clock than the source's: what was complete stays so
            self._close(offset, max(complete, self.place.time_ms if self.place else 0), quiet=True)

    def _unread(self, record: Record, rejection: c.Rejection) -> None:
        """A record that the reader could not read; as a snapshot's row it counts as read by the snapshot."""
        self._rows += 1
        found = self._reject(record, rejection)
        row = c.SnapshotRow(found.table, found.pk, None, found.stage, found.position, found.time_ms)
        if found.pk is None or not (found.stage or self.visibility.in_snapshot):
            return
        if found.stage:
            self._snapshot_seen(record, row)
        else:  # nothing tells what it is: better a row too many than one too few
            self.visibility.keep(found.table, found.pk)

    def _reject(self, record: Record, rejection: c.Rejection) -> c.Salvaged:
        if record.offset < self.since.get(rejection.table, 0):
            return c.Salvaged()  # all that is left of the table was read again since
        found = self.quarantine.put(record, rejection.reason)
        if found.pk is not None and found.table.name in self.sweeps.watched:
            self.sweeps.see(found.table.name, found.pk, record.offset, is_empty=not found.table.pks())
        return found

    def _read_again(self, record: Record, row: c.SnapshotRow) -> None:
        before = row.table.remembered(row.pk)
        self._row(record, row.table, row.pk, row.row)
        if row.table.remembered(row.pk) != before:
            self.visibility.reread(row.time_ms)

    def _snapshot_seen(self, record: Record, row: c.SnapshotRow) -> None:
        if self.visibility.snapshot_row(row):
            # a table that holds something by now, or once was swept, may have rows in the log that the snapshot has not
            older = {name for name, table in self.engine.tables.items() if table.pks()} | self.sweeps.noted.keys()
            self._older = dict.fromkeys(older | self.quarantine.tables(), record.offset)

    def _snapshot_row(self, record: Record, row: c.SnapshotRow) -> None:
        if row.stage == "incremental":
            if (
                self.visibility.in_snapshot
            ):  # as in `fold`: these come while streaming, and the snapshot has not seen them
                self._snapshot_end(record.offset, None, self.place.time_ms if self.place else 0)
            self._read_again(record, row)
            return
        self._snapshot_seen(record, row)
        self._row(record, row.table, row.pk, row.row)
        if row.stage == "last":
            self._snapshot_end(record.offset, row.position, row.time_ms, row.read_ms)

    def _snapshot_end(self, offset: int, position: c.Position | None, time_ms: int, read_ms: int = 0) -> None:
        seen = self.visibility.snapshot_end(position, read_ms)
        for table in self.engine.tables.values():
            table.keep_only(seen.get(table, ()))
        for name, below in self._older.items():
            self.sweeps.note(name, below)
            self.quarantine.sweep(name, below, offset)
        if self.movements is not None:
            self.movements.skip()
        self._close(offset, time_ms)

    def end_replay(self) -> None:
        """The log ends here for now: what only a compacted one still has is gone."""
        self.quarantine.end_replay()
        self.sweep()

    def sweep(self) -> None:
        """End the rows that only a compacted log still has: now, or where a transaction is open, at its end."""
        self._ends_replay = bool(self.sweeps.watched)
        if self._ends_replay and self.place is not None and not self._rows:
            self._close(self.place.offset, self.place.time_ms)

    @property
    def holds_ghosts(self) -> bool:
        """The replay has ended within a transaction, and rows may be remembered that are gone: show nothing."""
        return self._ends_replay

    def _sweep(self, offset: int) -> None:
        self._ends_replay = False
        for name, below in self.sweeps.watched.items():
            self.quarantine.sweep(name, below, offset)
        for name, seen in self.sweeps.end().items():
            self.engine.tables[name].keep_only(seen)
        if self.movements is not None:
            self.movements.skip()

    def _close(self, offset: int, time_ms: int, *, quiet: bool = False) -> None:
        if self.movements is not None:
            self.movements.open()
        if self._ends_replay:
            self._sweep(offset)
        self.closing(self._rows)
        self._rows, self.quarantined = 0, len(self.quarantine)
        self.place = Place(offset, self.visibility.served, time_ms, quiet)
        groups = self._view.drain()
        if is_felt := bool(self._put_aside) or self.quarantine.is_felt:
            self.quarantine.look()
            groups = self.quarantine.stock.settle(groups)
        changed = self.levels.absorb(groups, offset, time_ms)
        if is_marked := self.levels.marked is not self.quarantine.marks:
            self.levels.mark(self.quarantine.marks, offset, time_ms)
        if self._orders is not None:
            self._orders.close(self.place, changed, is_felt=is_felt, is_marked=is_marked)
        if self.movements is not None:
            self.movements.close(self.place, self.epoch or 0)
        if self.items is not None:
            changed += self.items.absorb(self.engine.views["items"].drain())
        self.events += self.book.evaluate(changed, self.place)

    # -- for readers

    @property
    def changes(self) -> int:
        """How many documents changed since the last `documents`."""
        return self.levels.changes + (self.orders.changes if self.orders is not None else 0)

    def documents(self) -> list[Document]:
        """The documents that changed since the last call."""
        found = self.levels.documents()
        return found if self.orders is None else [*found, *self.orders.documents()]

    def all_documents(self) -> Iterator[Document]:
        """Every live document; what changed until now counts as shown."""
        return chain(self.levels.all_documents(), self.orders.all_documents() if self.orders is not None else ())
