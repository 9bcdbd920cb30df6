"""A random ERP, the log that Debezium writes of it, and what is true at each of the log's cuts."""

from dataclasses import dataclass, field
from random import Random

from pipeline.domain.levels import expected_documents
from tests.simulation.engines import engines
from tests.streams.erp import DAY, PREFIX, TABLES, Log, Op, Row, Served, State, item, place, position, quant

WEEK_MS = 8 * 86_400_000
BEGIN_MS = 1_795_390_000_000
BAD = "1.234"
"""More decimals than the column has: such a row cannot be mapped."""


@dataclass(frozen=True)
class Empty:
    """A TRUNCATE."""

    table: str


Step = Op | Empty


def _is_bad(row: Row | None) -> bool:
    return row is not None and row.get("quantity") == BAD


@dataclass
class Database:
    """The rows as the ERP has them, and as they can be known: a bad row stays as it was before it went bad."""

    rows: State = field(default_factory=lambda: {t: {} for t in TABLES})
    known: State = field(default_factory=lambda: {t: {} for t in TABLES})

    def apply(self, step: Step) -> None:
        if isinstance(step, Empty):
            self.rows[step.table].clear()
            self.known[step.table].clear()
            return
        step.apply(self.rows)
        if not _is_bad(step.row):
            step.apply(self.known)

    def bad(self) -> list[Row]:
        return [row for row in self.rows["quant"].values() if _is_bad(row)]

    def copy(self) -> "Database":
        return Database(*({t: dict(rows) for t, rows in s.items()} for s in (self.rows, self.known)))


@dataclass(frozen=True)
class Transaction:
    """What one commit did, how long after the one before it came, and what day it is from then on."""

    steps: list[Step]
    after_ms: int
    day: str


class Erp:
    """Draws transactions that a database would allow."""

    def __init__(self, rng: Random, *, bad: bool, weeks: bool) -> None:
        self.rng, self.db, self.day = rng, Database(), DAY
        self._bad, self._weeks = bad, weeks

    def transactions(self, many: int) -> list[Transaction]:
        first: list[Step] = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5, 1), quant(2, 2, 1, 8)]
        return [self._taken(first)] + [self._taken(self._steps()) for _ in range(many - 1)]

    def _taken(self, steps: list[Step]) -> Transaction:
        for step in steps:
            self.db.apply(step)
        if self.rng.random() < 0.06:
            self.day = max(self.day, f"2026-11-{self.rng.randint(22, 26)}")
        weeks = self._weeks and self.rng.random() < 0.1
        return Transaction(steps, WEEK_MS if weeks else self.rng.choice((5, 40, 300, 900, 2500)), self.day)

    def _steps(self) -> list[Step]:
        kinds = (self._some, self._codes, self._moved, self._swapped, self._emptied, self._huge, self._heartbeat)
        return self.rng.choices(kinds, (60, 10, 8, 6, 5, 4, 12))[0]()

    def _some(self) -> list[Step]:
        return [self._change() for _ in range(self.rng.randint(1, 4))]

    def _change(self) -> Step:
        rng, pk = self.rng, self.rng.randint(1, 6)
        roll = rng.random()
        if roll < 0.12:
            return item(rng.randint(1, 4), rng.choice((None, "A", "B", "B", "C/1")))
        if roll < 0.24:
            return place(rng.randint(1, 3), rng.choice("xy"), rng.choice((None, "W1", "W2")))
        if roll < 0.36:
            return Op(rng.choice(("place", "quant", "quant", "item")), pk, None)
        quantity = BAD if self._bad and rng.random() < 0.08 else rng.randint(-3, 9)
        due = rng.choice((None, None, None, "2026-11-22", "2026-11-24"))
        reserved = rng.choice((None, "0.00", "1.50", "7.00"))
        return quant(pk, rng.randint(1, 4), rng.choice((None, 1, 2, 3)), quantity, reserved, due)

    def _codes(self) -> list[Step]:
        """Two items swap their codes, or take the same one."""
        codes = [self.db.rows["item"].get(pk, {}).get("code") for pk in (1, 2)]
        return [item(1, codes[1]), item(2, self.rng.choice(codes))]

    def _moved(self) -> list[Step]:
        """A row gets another primary key, which Debezium writes as delete and create."""
        table = self.rng.choice(TABLES)
        rows = self.db.rows[table]
        if not rows:
            return []
        old, new = self.rng.choice(sorted(rows)), self.rng.randint(7, 9)
        if new in rows:
            return []
        return [Op(table, old, None), Op(table, new, rows[old] | {"id": new})]

    def _swapped(self) -> list[Step]:
        """Two rows swap their primary keys through a third."""
        table = self.rng.choice(TABLES)
        rows = self.db.rows[table]
        if len(rows) < 2:
            return []
        a, b = self.rng.sample(sorted(rows), 2)
        moves = ((a, 99, rows[a]), (b, a, rows[b]), (99, b, rows[a]))
        return [op for old, new, row in moves for op in (Op(table, old, None), Op(table, new, row | {"id": new}))]

    def _emptied(self) -> list[Step]:
        return [Empty(self.rng.choice(TABLES)), *self._some()]

    def _huge(self) -> list[Step]:
        return [
            step
            for i in range(20, 20 + self.rng.randint(6, 14))
            for step in (item(i, f"I{i}"), quant(i, i, 1, self.rng.randint(-2, 5), self.rng.choice((None, "1.00"))))
        ]

    def _heartbeat(self) -> list[Step]:
        return []


@dataclass
class TimedLog(Log):
    """A log that knows when each of its records is there.

    `due[i]`: ms from the beginning, not counting the weeks in which nothing happened; `weeks[i]`: how many those were.
    `times[n]`: when the n-th transaction is committed, weeks included.
    """

    due: list[int] = field(default_factory=list)
    weeks: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    now: int = 0

    def time_ms(self, n: int) -> int:
        return BEGIN_MS + self.times[n]

    def written_ms(self) -> int:
        return BEGIN_MS + self.now

    def cut(self, shown: int) -> None:
        """Nothing is written after the first `shown` records."""
        del self.records[shown:], self.due[shown:], self.weeks[shown:]

    def put(self, key: object, value: object, shows: int | None = None) -> None:
        super().put(key, value, shows)
        self.weeks.append(self.now // WEEK_MS)
        self.due.append(self.now % WEEK_MS)

    def reach(self, n: int) -> None:
        """The n-th transaction is committed by now."""
        self.now = max(self.now, self.times[n])


@dataclass
class Truth:
    """What must be served at a cut, which codes may be wrong there because a row of theirs cannot be read."""

    served: Served
    doubtful: frozenset[str]
    bad: int


class History:
    """A log of `length` transactions and what is true at each offset where readers may see it."""

    def __init__(self, seed: int, length: int, *, bad: bool, weeks: bool) -> None:
        self._rng = Random(f"history {seed}")
        erp = Erp(self._rng, bad=bad, weeks=weeks)
        self.transactions = erp.transactions(length)
        self.weeks = any(t.after_ms == WEEK_MS for t in self.transactions)
        self.log = TimedLog().begun()
        self._day = DAY
        self.cuts: dict[int, Truth] = {}
        self._states = self._all_states()
        self._write()
        self.cuts |= self._cuts()

    def _all_states(self) -> list[Database]:
        states, at = [Database()], 0
        self.log.times = [0]
        for transaction in self.transactions:
            state = states[-1].copy()
            for step in transaction.steps:
                state.apply(step)
            states.append(state)
            at += transaction.after_ms
            self.log.times.append(at)
        return states

    # -- Debezium

    def _write(self) -> None:
        """Snapshot, stream, and now and then (a lost slot) both again later."""
        last, done, rng = len(self.transactions), 0, self._rng
        while done < last:
            start = rng.randint(max(1, done), min(last, max(1, done) + rng.choice((0, 0, 3))))
            until = rng.randint(start, last)
            if until <= done or rng.random() < 0.6:
                until = last
            self._snapshot(max(1, done), start)
            self._stream(start + 1, until)
            done = until
        for _ in range(2):  # what heartbeats bring, whatever happens
            self.heartbeat()

    def heartbeat(self) -> None:
        """An empty transaction, after all others."""
        log = self.log
        log.times.append(max(log.times[-1], log.now) + 1000)
        self._states.append(self._states[-1])
        n = len(log.times) - 1
        log.reach(n)
        log.begin(n)
        log.end(n)
        if self.cuts:
            self.cuts[log.records[-1].offset] = self.cuts[max(self.cuts)]

    def read_anew(self, shown: int, epoch: int) -> int:
        """`apply --snapshot`, once `shown` records are written; where the new epoch begins.

        Capture stands still from then on: what the ERP does meanwhile comes with the snapshot.
        """
        log, n, truth = self.log, len(self.log.times) - 1, self.cuts[max(self.cuts)]
        log.cut(shown)
        begun = log.records[-1].offset + 1
        self.cuts = {offset: told for offset, told in self.cuts.items() if offset < begun}
        log.control("epoch", epoch=epoch, position=position(n) - 1)
        log.control("day", date=self._day)
        log.control("mapping", applied_at=epoch)
        if not log.snapshot(n, self._states[n].rows):
            log.begin(n, shows=n)
        self.cuts[log.records[-1].offset] = truth
        return begun

    def _snapshot(self, earliest: int, n: int) -> None:
        """As of transaction `n`, cut off and begun again now and then."""
        for attempt in sorted(self._rng.randint(earliest, n) for _ in range(self._rng.choice((0, 0, 0, 1, 2)))):
            rows = self._states[attempt].rows
            self.log.reach(attempt)
            self.log.snapshot(attempt, rows, cut_off=self._rng.randint(1, max(1, sum(map(len, rows.values())) - 1)))
        self.log.reach(n)
        if not self.log.snapshot(n, self._states[n].rows):
            self.log.begin(n, shows=n)

    def _stream(self, first: int, last: int) -> None:
        """Transactions `first` .. `last` (1-based) as Connect streams them, killed now and then."""
        rng, log, n, kills, furthest = self._rng, self.log, first, self._rng.choice((0, 0, 1, 2, 3)), first - 1
        while n <= last:
            steps = self.transactions[n - 1].steps
            kill = rng.choice(("", "", "", "inside", "cut off", "whole")) if kills else ""
            kills -= bool(kill)
            log.reach(n)
            if n > furthest:
                self._turn_the_day(n)
            log.begin(n)
            reached = rng.randint(0, len(steps)) if kill in ("inside", "cut off") else None
            self._changes(n, steps[:reached])
            if kill:
                log.now += rng.choice((100, 4000))
            if kill == "cut off":
                n = max(first, n - rng.randint(0, 4))
                continue
            if reached is not None:
                self._changes(n, steps[rng.randint(0, reached) :])
            log.end(n)
            if n > furthest:
                furthest = n
                self._incremental(n)
            n = max(first, n + 1 - (rng.randint(0, 4) if kill else 0))

    def _changes(self, n: int, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Empty):
                self.log.truncate(n, step.table)
            else:
                self.log.change(n, step)
            if self._rng.random() < 0.02:
                self._turn_the_day(n)

    def _turn_the_day(self, n: int) -> None:
        day = self.transactions[n - 1].day
        if day > self._day:
            self._day = day
            self.log.control("day", date=day)

    def _incremental(self, n: int) -> None:
        """Rows of an incremental snapshot: outside of transactions, as the database has them at this place."""
        if self._rng.random() > 0.05:
            return
        for table in TABLES:
            for pk, row in self._states[n].rows[table].items():
                source = {"ts_ms": self.log.time_ms(n), "snapshot": "incremental", "schema": "public", "table": table}
                self.log.put(
                    self.log.key(Op(table, pk, row)), {"before": None, "after": row, "source": source, "op": "r"}
                )

    # -- truth

    def _cuts(self) -> dict[int, Truth]:
        found: dict[int, Truth] = {}
        seen: dict[tuple[int, str], Truth] = {}
        served, day = 0, ""
        with engines.one() as engine:
            for record in self.log.records:
                if record.key is not None and b'"control":"day"' in (record.value or b""):
                    day = (record.value or b"").split(b'"date":"')[1][:10].decode()
                    engine.set_today(day)
                n = record.shows
                if n is None or (n <= served and b"END" in (record.value or b"")):
                    continue
                served = n
                if (n, day) not in seen:
                    seen[n, day] = self._truth(engine, n)
                found[record.offset] = seen[n, day]
        return found

    def _truth(self, engine: object, n: int) -> Truth:
        state = self._states[n]
        for name, rows in state.known.items():
            table = engine.tables[f"public.{name}"]  # type: ignore[attr-defined]
            table.clear()
            for row in rows.values():
                table.upsert(table.row_type(**row))
        view = engine.views["stock"]  # type: ignore[attr-defined]
        view.drain()
        served = expected_documents(PREFIX, view, "stock", view.groups())
        bad = state.bad()
        return Truth(served, self._doubtful(state, bad), len(bad))

    def _doubtful(self, state: Database, bad: list[Row]) -> frozenset[str]:
        if not bad:
            return frozenset()
        ids = {row["item_id"] for row in bad}
        ids |= {
            s.known["quant"][row["id"]]["item_id"] for s in self._states for row in bad if row["id"] in s.known["quant"]
        }
        # a row in quarantine shows its place, degraded: so another place of the same code is named with its id
        places = {row["place_id"] for row in bad} | {
            s.known["quant"][row["id"]]["place_id"]
            for s in self._states
            for row in bad
            if row["id"] in s.known["quant"]
        }
        return frozenset(
            [f"{{{s.rows['item'].get(i, {}).get('code')}" for s in self._states for i in ids]
            + [f":location={s.rows['place'].get(i, {}).get('code')}" for s in self._states for i in places]
        )
