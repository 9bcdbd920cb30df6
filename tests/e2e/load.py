"""SQL writers."""

import random
import threading
import time

import psycopg

from tests.e2e.source import Source

PROBE = "UPDATE quant SET quantity = quantity + 1 WHERE id = 100001 RETURNING quantity"
TAKE, GIVE = (
    "UPDATE quant SET quantity = quantity - %s WHERE id = 100002",
    "UPDATE quant SET quantity = quantity + %s WHERE id = 100003",
)


class Writers:
    """Threads that write transactions until stopped: each also counts the probe up and moves stock within the pair.

    `patient` writers connect again when the database has gone away. `committed`: when the probe's value was
    acknowledged (Unix seconds); `highest`: the largest value that a commit was asked for. While
    `resting`, nothing is written.
    """

    def __init__(
        self, source: Source, count: int = 2, pause: float = 0.005, seed: int = 1, *, patient: bool = False
    ) -> None:
        self.transactions, self.committed = 0, dict[int, float]()
        self.highest = int(source.sql.execute("SELECT quantity FROM quant WHERE id = 100001").fetchone()[0])
        self.resting = False
        self._source, self._pause, self._stop, self._patient = source, pause, threading.Event(), patient
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(seed + n,)) for n in range(count)]

    def rewind(self, value: int) -> None:
        """The database was put back to where the probe was at `value`."""
        self.committed = {probe: at for probe, at in self.committed.items() if probe <= value}

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._stop.is_set():
            try:
                self._write(rng)
            except psycopg.OperationalError as e:
                if not self._patient:
                    self._failures.append(e)
                    return
                self._stop.wait(0.2)
            except psycopg.Error as e:
                self._failures.append(e)
                return

    def _write(self, rng: random.Random) -> None:
        with psycopg.connect(self._source.stack.postgres.url(self._source.name), connect_timeout=5) as sql:
            while not self._stop.is_set():
                if not self.resting:
                    self._transaction(sql, rng)
                    self.transactions += 1
                self._stop.wait(self._pause)

    def _transaction(self, sql: psycopg.Connection, rng: random.Random) -> None:
        moved = rng.randint(1, 5)
        sql.execute(TAKE, (moved,))
        for _ in range(rng.choice((0, 1, 3, 20))):
            self._change(sql, rng)
        sql.execute(GIVE, (moved,))
        value = int(sql.execute(PROBE).fetchone()[0])
        if rng.random() < 0.05:
            sql.rollback()
            return
        self.highest = max(self.highest, value)  # the probe's row is locked: nobody else is here
        sql.commit()
        self.committed[value] = time.time()

    def _change(self, sql: psycopg.Connection, rng: random.Random) -> None:
        kind, item, location = rng.random(), rng.randint(1, 200), rng.randint(1, 30)
        if kind < 0.6:
            change, where = round(rng.uniform(-50, 50), 4), rng.randint(1, 3000)
            sql.execute(
                "UPDATE quant SET quantity = quantity + %s, reserved = %s WHERE id = %s",
                (change, rng.choice((None, 1)), where),
            )
        elif kind < 0.8:
            sql.execute(
                "INSERT INTO quant (item_id, location_id, lot, quantity) VALUES (%s, %s, %s, 5)",
                (item, location, rng.choice((None, "A"))),
            )
        elif kind < 0.95:
            sql.execute(
                "DELETE FROM quant WHERE id = (SELECT max(id) FROM quant WHERE id < 100000 AND item_id = %s)", (item,)
            )
        else:
            sql.execute("UPDATE item SET code = %s WHERE id = %s", (f"I{item}-{rng.randint(1, 3)}", item))
