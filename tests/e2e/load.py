"""SQL writers, and a reader that checks what no fault may ever show."""

import random
import threading
import time

import psycopg
import redis

from tests.e2e.source import Source

PROBE = "UPDATE quant SET quantity = quantity + 1 WHERE id = 100001"
TAKE, GIVE = (
    "UPDATE quant SET quantity = quantity - %s WHERE id = 100002",
    "UPDATE quant SET quantity = quantity + %s WHERE id = 100003",
)


class Writers:
    """Threads that write transactions until stopped: each also counts the probe up and moves stock within the pair."""

    def __init__(self, source: Source, count: int = 2, pause: float = 0.005, seed: int = 1) -> None:
        self.transactions = 0
        self._source, self._pause, self._stop = source, pause, threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(seed + n,)) for n in range(count)]

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
        try:
            with psycopg.connect(self._source.stack.postgres.url(self._source.name)) as sql:
                while not self._stop.is_set():
                    self._transaction(sql, rng)
                    self.transactions += 1
                    self._stop.wait(self._pause)
        except psycopg.Error as e:
            self._failures.append(e)

    def _transaction(self, sql: psycopg.Connection, rng: random.Random) -> None:
        moved = rng.randint(1, 5)
        sql.execute(TAKE, (moved,))
        for _ in range(rng.choice((0, 1, 3, 20))):
            self._change(sql, rng)
        sql.execute(GIVE, (moved,))
        sql.execute(PROBE)
        sql.rollback() if rng.random() < 0.05 else sql.commit()

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


class Reader:
    """Reads the probe and the pair as an app would, as fast as it can. `wrong` lists what must never be seen."""

    def __init__(self, source: Source) -> None:
        self.reads, self.wrong, self.last = 0, [], -1.0
        self._source, self._stop = source, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        keys = [
            f"{self._source.prefix}:{{{item}}}:{warehouse}"
            for item, warehouse in (("PROBE", "W1"), ("PAIR", "W1"), ("PAIR", "W3"))
        ]
        client = redis.Redis.from_url(self._source.stack.redis.url, decode_responses=True, socket_timeout=2)
        while not self._stop.is_set():
            try:
                pipe = client.pipeline(transaction=True)
                for key in keys:
                    pipe.hget(key, "on_hand")
                self._check(*pipe.execute())
            except redis.RedisError:
                time.sleep(0.01)  # the fault itself: nothing is read while Redis is away
        client.close()

    def _check(self, probe: str | None, left: str | None, right: str | None) -> None:
        self.reads += 1
        if probe is not None:
            if float(probe) < self.last:
                self.wrong.append(f"the probe went back from {self.last} to {probe}")
            self.last = float(probe)
        if left is not None and right is not None and float(left) + float(right) != 1_000_000:
            self.wrong.append(f"a half-done transfer: {left} + {right}")
