"""The one random load of an ERP that every planted bug and every clean run meets: it knows of none of them."""

import bisect
import itertools
import random
import threading
import time
from collections.abc import Callable

import psycopg
from psycopg import errors

ROWS = 3000
ITEMS, LOCATIONS = 400, 30
COUNTED = 500  # rows that one stock count changes in one transaction


class Zipf:
    """Row ids, the first ones far more often."""

    def __init__(self, count: int, exponent: float = 0.9) -> None:
        self._upto = list(itertools.accumulate(1 / n**exponent for n in range(1, count + 1)))

    def draw(self, rng: random.Random) -> int:
        return 1 + bisect.bisect_left(self._upto, rng.random() * self._upto[-1])


class Load:
    """`count` writers until the block ends. `rate`: transactions/s of all, on a fixed schedule."""

    def __init__(self, url: str, seed: int, count: int = 4, rate: float = 50) -> None:
        self.transactions = self.late = 0
        self._url, self._rate, self._stop = url, rate, threading.Event()
        self._zipf, self._failures = Zipf(ROWS), list[BaseException]()
        self._threads = [threading.Thread(target=self._run, args=(seed * 100 + n, n, count)) for n in range(count)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self, seed: int, number: int, count: int) -> None:
        rng, begun = random.Random(seed), time.monotonic()
        try:
            with psycopg.connect(self._url) as sql:
                for n in itertools.count():
                    wait = begun + (n * count + number) / self._rate - time.monotonic()
                    if self._stop.wait(max(0.0, wait)):
                        return
                    self.late += wait < -1.0
                    self._transaction(sql, rng)
                    self.transactions += 1
        except BaseException as e:  # noqa: BLE001 -- raised where the block ends
            self._failures.append(e)

    def _transaction(self, sql: psycopg.Connection, rng: random.Random) -> None:
        try:
            rng.choices(_KINDS, _WEIGHTS)[0](self, sql, rng)
            sql.rollback() if rng.random() < 0.03 else sql.commit()
        except (errors.DeadlockDetected, errors.SerializationFailure):
            sql.rollback()

    def _ids(self, rng: random.Random, count: int) -> list[int]:
        return sorted({self._zipf.draw(rng) for _ in range(count)})

    def _pick(self, sql: psycopg.Connection, rng: random.Random) -> None:
        for row in self._ids(rng, rng.choice((1, 2, 3, 6))):
            change = round(rng.uniform(-9, 9), rng.choice((0, 2, 4)))
            sql.execute("UPDATE quant SET quantity = quantity + %s, reserved = %s WHERE id = %s",
                        (change, rng.choice((None, 1, 2.5)), row))  # fmt: skip

    def _transfer(self, sql: psycopg.Connection, rng: random.Random) -> None:
        moved, (left, *more) = rng.randint(1, 5), self._ids(rng, 2)
        right = more[0] if more else left
        sql.execute("UPDATE quant SET quantity = quantity - %s WHERE id = %s", (moved, left))
        sql.execute("UPDATE quant SET quantity = quantity + %s WHERE id = %s", (moved, right))

    def _relocate(self, sql: psycopg.Connection, rng: random.Random) -> None:
        sql.execute("UPDATE quant SET location_id = %s WHERE id = %s",
                    (rng.randint(1, LOCATIONS), rng.randint(1, ROWS)))  # fmt: skip

    def _receive(self, sql: psycopg.Connection, rng: random.Random) -> None:
        terms = rng.choice((None, f"RC{rng.randint(1, 9)}{'y' * 3000}"))
        for _ in range(rng.choice((1, 3))):
            sql.execute(
                "INSERT INTO quant (item_id, location_id, terms, quantity) VALUES (%s, %s, %s, %s)",
                (rng.randint(1, ITEMS), rng.randint(1, LOCATIONS), terms, rng.randint(1, 50)),
            )

    def _use_up(self, sql: psycopg.Connection, rng: random.Random) -> None:
        sql.execute("DELETE FROM quant WHERE id = (SELECT max(id) FROM quant WHERE id > %s AND item_id = %s)",
                    (ROWS, rng.randint(1, ITEMS)))  # fmt: skip

    def _count(self, sql: psycopg.Connection, rng: random.Random) -> None:
        first = rng.randint(1, ROWS - COUNTED)
        sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id IN"
                    " (SELECT id FROM quant WHERE id >= %s AND id < %s ORDER BY id FOR UPDATE)",
                    (first, first + COUNTED))  # fmt: skip

    def _rename(self, sql: psycopg.Connection, rng: random.Random) -> None:
        item = rng.randint(1, ITEMS)
        sql.execute("UPDATE item SET code = %s WHERE id = %s", (f"I{item}-{rng.randint(1, 3)}", item))

    def _repack(self, sql: psycopg.Connection, rng: random.Random) -> None:
        sql.execute("UPDATE item SET factor = %s WHERE id = %s", (rng.choice((1, 6, 12)), rng.randint(1, ITEMS)))


_Kind = Callable[[Load, psycopg.Connection, random.Random], None]
_MIX: list[tuple[_Kind, float]] = [
    (Load._pick, 50), (Load._transfer, 20), (Load._relocate, 8), (Load._receive, 10), (Load._use_up, 9),
    (Load._count, 0.2), (Load._rename, 0.7), (Load._repack, 0.7),
]  # fmt: skip
_KINDS, _WEIGHTS = [kind for kind, _ in _MIX], [weight for _, weight in _MIX]
