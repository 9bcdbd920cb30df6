"""What happens to rows, and how a log may tell it.

A history is a list of steps drawn beforehand, so that it can be played again and made shorter. What a step does to the
rows (`Erp`) gives the log's events; what the log does to its reader (an event twice, a rewind, a snapshot, rows in
another order) is a step too.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any

import msgspec

from pipeline.domain.catalog import Catalog
from pipeline.query import Engine
from pipeline.query.values import UNAVAILABLE, UnavailableError
from tests.query.differential.kinds import DATES, Kind
from tests.query.differential.mapping import Mapping
from tests.query.differential.schema import TableSpec

FIRST_DAY = "2026-10-31"
TODAYS = (FIRST_DAY, *DATES[:3], "2026-12-31")
LONGEST = 80  # steps after the first rows
Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """`do` is put, delete, truncate, day, again, rewind, snapshot, shuffle or read; `seed` decides the rest of it."""

    do: str
    table: str = ""
    row: Row = field(default_factory=dict)
    day: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Event:
    """A log record: a table's row (`row`, else a delete of `key`, else a truncate), or a new day."""

    table: str = ""
    key: tuple[Any, ...] = ()
    wire: bytes = b""
    is_row: bool = False
    day: str = ""


def draw(mapping: Mapping, rng: Random, longest: int = LONGEST) -> list[Step]:
    """A random history: a row of most primary keys in any order, so children before parents, then changes."""
    steps = [
        Step("put", t.name, t.draw(rng) | dict(zip((c.name for c in t.pk), pk, strict=True)))
        for t in mapping.tables
        for pk in product(*(c.values for c in t.pk))
        if rng.random() < 0.9
    ]
    rng.shuffle(steps)
    for _ in range(rng.randint(0, longest)):
        steps.append(_draw_change(mapping, rng))
        if rng.random() < 0.35:
            steps.append(Step(rng.choice(_DISTURBANCES), seed=rng.randrange(10**6)))
    return steps


_DISTURBANCES = (*["again"] * 4, *["shuffle"] * 4, *["read"] * 8, "rewind", "rewind", "snapshot")


def _draw_change(mapping: Mapping, rng: Random) -> Step:
    table, chance = rng.choice(mapping.tables), rng.random()
    if chance < 0.05:
        return Step("day", day=rng.choice(TODAYS))
    if chance < 0.054:
        return Step("truncate", table.name)
    return Step("put" if chance < 0.92 else "delete", table.name, table.draw(rng))


class Erp:
    """The rows as the ERP holds them. A unique key is taken over: no ERP lets two rows have it."""

    def __init__(self, mapping: Mapping) -> None:
        self.dialect = mapping.dialect
        self.tables = {t.name: t for t in mapping.tables}
        self.rows: dict[str, dict[Any, Row]] = {t: {} for t in self.tables}

    def do(self, step: Step) -> list[Event]:
        """Apply a step; the events it leaves in the log."""
        if step.do == "day":
            return [Event(day=step.day)]
        table, rows = self.tables[step.table], self.rows[step.table]
        if step.do == "truncate":
            rows.clear()
            return [Event(step.table)]
        pk = tuple(step.row[c.name] for c in table.pk)
        if step.do == "delete":
            return [self._deleted(table, pk)] if rows.pop(pk, None) else []
        return self._put(table, pk, step)

    def _put(self, table: TableSpec, pk: tuple[Any, ...], step: Step) -> list[Event]:
        rows = self.rows[table.name]
        kinds = [[(c.name, c.kind) for c in key] for key in (table.pk, *table.unique)]
        taken = [p for p, r in rows.items() if p != pk and any(_equal(r, step.row, k) for k in kinds)]
        events = [self._deleted(table, p) for p in taken]
        for p in taken:
            del rows[p]
        known = rows.get(pk)
        rows[pk] = step.row
        return [*events, self._written(table, pk, step.row, known if step.seed % 10 == 1 else None)]

    def _written(self, table: TableSpec, pk: tuple[Any, ...], row: Row, known: Row | None) -> Event:
        """`known`: long texts that did not change are left out, as PostgreSQL does with those stored out of line."""
        wire = {c.name: c.kind.wire(row[c.name], self.dialect) for c in table.columns}
        if known is not None and self.dialect == "postgres":
            for c in table.columns:
                if c.kind.spelling == "text" and c not in table.pk and row[c.name] == known[c.name] is not None:
                    wire[c.name] = UNAVAILABLE
        return Event(table.name, pk, msgspec.json.encode(wire), is_row=True)

    def _deleted(self, table: TableSpec, pk: tuple[Any, ...]) -> Event:
        wire = {c.name: c.kind.wire(v, self.dialect) for c, v in zip(table.pk, pk, strict=True)}
        return Event(table.name, pk, msgspec.json.encode(wire))

    def snapshot(self) -> list[Event]:
        return [
            self._written(self.tables[t], pk, row, None) for t, rows in self.rows.items() for pk, row in rows.items()
        ]


def _equal(a: Row, b: Row, columns: Iterable[tuple[str, Kind]]) -> bool:
    return all(a[c] is not None and b[c] is not None and kind.same(a[c]) == kind.same(b[c]) for c, kind in columns)


class Feed:
    """Feeds an engine through the bytes a connector sends."""

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self.engine = engine
        self._tables = {t.short: self._readers(t.name) for t in catalog.tables.values() if t.name in engine.tables}

    def _readers(self, name: str) -> tuple[Any, Callable[[bytes], Any], Callable[[bytes], Any]]:
        table = self.engine.tables[name]
        return table, msgspec.json.Decoder(table.row_type).decode, msgspec.json.Decoder(table.key_type).decode

    def __call__(self, event: Event) -> None:
        if event.day:
            self.engine.set_today(event.day)
        elif event.table in self._tables:
            table, row_of, key_of = self._tables[event.table]
            if event.is_row:
                self._upsert(table, row_of(event.wire))
            elif event.key:
                table.delete(table.pk(key_of(event.wire)))
            else:
                table.clear()

    @staticmethod
    def _upsert(table: Any, row: Any) -> None:
        try:
            table.upsert(row)
        except UnavailableError:
            # A rewind may begin behind the row's whole text: the row was deleted since, so a delete follows.
            assert table.pk(row) not in table.pks()


class Player:
    """Plays a history: the rows at its end in `erp`, the last day in `today`. `read` is called now and then."""

    def __init__(self, mapping: Mapping, feed: Callable[[Event], None], read: Callable[[], None]) -> None:
        self.erp, self.feed, self.read, self.today = Erp(mapping), feed, read, FIRST_DAY
        self.log: list[Event] = []
        self._held: list[Event] = []
        self._hold, self._shuffle = 0, Random(0)

    def play(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.do in ("put", "delete", "truncate", "day"):
                self._happen(step)
            else:
                self._release()
                _DISTURB[step.do](self, step)
        self._release()

    def _happen(self, step: Step) -> None:
        self.today = step.day or self.today
        for event in self.erp.do(step):
            self.log.append(event)
            self._take(event)

    def _take(self, event: Event) -> None:
        if not event.key and not event.day:  # nothing passes a truncate
            self._release()
        if self._hold:
            self._held.append(event)
            self._hold -= 1
        else:
            self._release()
            self.feed(event)

    def _release(self) -> None:
        """Feed what was held back, each row's events in their order, the rows in any."""
        for event in shuffled(self._held, self._shuffle):
            self.feed(event)
        self._held, self._hold = [], 0

    def _again(self, _step: Step) -> None:
        for event in self.log[-1:]:
            self.feed(event)

    def _rewind(self, step: Step) -> None:
        for event in self.log[step.seed % (len(self.log) + 1) :]:
            self.feed(event)

    def _snapshot(self, step: Step) -> None:
        events = self.erp.snapshot()
        Random(step.seed).shuffle(events)
        for event in events:
            self.feed(event)
        self.log += events

    def _reorder(self, step: Step) -> None:
        self._hold, self._shuffle = 2 + step.seed % 20, Random(step.seed)

    def _read(self, _step: Step) -> None:
        self.read()


def shuffled(events: list[Event], rng: Random) -> Iterable[Event]:
    """In any order, but each row's (and the days') as they were."""
    queues: dict[Any, deque[Event]] = defaultdict(deque)
    for event in events:
        queues[event.table, event.key].append(event)
    order = [(e.table, e.key) for e in events]
    rng.shuffle(order)
    return (queues[key].popleft() for key in order)


_DISTURB: dict[str, Callable[[Player, Step], None]] = {
    "again": Player._again,
    "rewind": Player._rewind,
    "snapshot": Player._snapshot,
    "shuffle": Player._reorder,
    "read": Player._read,
}
