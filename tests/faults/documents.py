"""F30, F32-F35, F37, F38: what an ERP does to its own tables."""

import string
import threading
from collections.abc import Iterator

import psutil
import psycopg

from pipeline.query.values import UNAVAILABLE
from tests.e2e.source import Source
from tests.faults.registry import fault
from tests.faults.run import Run

HUGE = 200_000
HUGE_BYTES = 500_000_000


@fault("F30", "a transaction of 200,000 rows, inserted and updated", hold=0)
def huge_transaction(run: Run) -> Iterator[None]:
    rows = f"""INSERT INTO quant (id, item_id, location_id, quantity)
               SELECT 400000 + g, 1 + g % 200, 1 + g % 30, 1 FROM generate_series(1, {HUGE}) g"""
    with Memory(run.source) as memory:
        with psycopg.connect(run.stack.postgres.url(run.source.name)) as sql:
            sql.execute(rows)
            sql.execute("UPDATE quant SET quantity = 2 WHERE id > 400000")
        yield
        run.serves_now()
    assert memory.grown < HUGE_BYTES, f"the worker grew by {memory.grown / 1e6:.0f} MB"


class Memory:
    """By how much the worker grows while the block lasts, at most."""

    def __init__(self, source: Source) -> None:
        self._process = psutil.Process(source.worker.pid)
        self._begun = self._process.memory_info().rss
        self.grown, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.grown = max(self.grown, self._process.memory_info().rss - self._begun)


@fault("F32", "an out-of-line value that an update does not touch", short=True, hold=0)
def unchanged_toast(run: Run) -> Iterator[None]:
    long = "".join(run.rng.choices(string.ascii_letters + string.digits, k=20_000))
    run.transaction(f"UPDATE quant SET lot = '{long}' WHERE id = 17")
    run.transaction("UPDATE quant SET quantity = 41 WHERE id = 17")
    run.transaction("UPDATE quant SET quantity = quantity + 1, reserved = 2 WHERE id = 17")
    run.serves_now()
    assert not run.source.redis.keys(f"{run.source.prefix}:*{UNAVAILABLE}*")
    assert any(long in key for key in run.source.redis.keys(f"{run.source.prefix}:{{I18*"))
    yield
    run.transaction("UPDATE quant SET lot = NULL WHERE id = 17")


@fault("F33", "primary keys changed, swapped and shifted", short=True, hold=0)
def keys_changed(run: Run) -> Iterator[None]:
    run.transaction("UPDATE quant SET id = 210000 WHERE id = 21")
    run.transaction(
        "UPDATE quant SET id = -22 WHERE id = 22",
        "UPDATE quant SET id = 22, quantity = quantity + 1 WHERE id = 23",
        "UPDATE quant SET id = 23 WHERE id = -22",
    )
    run.transaction(*(f"UPDATE quant SET id = id + 1, reserved = {n} WHERE id = {220_000 - n}" for n in range(3)))
    run.transaction(
        "UPDATE quant SET id = -id WHERE id BETWEEN 30 AND 40", "UPDATE quant SET id = 70 + id WHERE id < 0"
    )
    yield
    run.transaction("UPDATE quant SET id = 21 WHERE id = 210000")


@fault("F34", "rows deleted and inserted again, in one transaction and in two", short=True, hold=0)
def deleted_and_back(run: Run) -> Iterator[None]:
    again = "INSERT INTO quant (id, item_id, location_id, quantity, reserved) VALUES ({0}, {1}, {2}, {3}, 1)"
    for n in range(60, 70):
        row = again.format(n, 1 + n, 1 + n % 30, run.rng.randint(1, 99))
        run.transaction(f"DELETE FROM quant WHERE id = {n}", row)
    for n in range(70, 80):
        run.transaction(f"DELETE FROM quant WHERE id = {n}")
        run.transaction(again.format(n, 1 + n, 1 + n % 30, run.rng.randint(1, 99)))
    yield


@fault("F35", "TRUNCATE of each captured table, filled again", short=True, hold=0)
def truncated(run: Run) -> Iterator[None]:
    run.alone(
        "CREATE TEMP TABLE kept AS SELECT * FROM quant", "TRUNCATE quant",
        "INSERT INTO quant SELECT * FROM kept WHERE id > 100000 OR id % 50 <> 0",
    )  # fmt: skip
    for table in ("item", "location", "warehouse"):
        run.transaction(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}", f"TRUNCATE {table}")
        run.work(10)
        run.transaction(f"INSERT INTO {table} SELECT * FROM kept_{table}", f"DROP TABLE kept_{table}")
    yield


@fault("F37", "stock before its item, its place and its warehouse", short=True, hold=0)
def children_first(run: Run) -> Iterator[None]:
    base = 10_000 + run.rng.randrange(10_000) * 100
    parts = []
    for n in range(base, base + 20):
        parts += [
            f"INSERT INTO quant (id, item_id, location_id, quantity) VALUES ({1_000_000 + n}, {n}, {n}, {n % 97})",
            f"INSERT INTO item VALUES ({n}, 'LATE-{n}')",
            f"INSERT INTO location VALUES ({n}, 'LL{n}', 'internal', {n})",
            f"INSERT INTO warehouse VALUES ({n}, 'LW{n}')",
        ]
    run.rng.shuffle(parts)
    for part in parts:
        run.transaction(part)
    yield


@fault("F38", "warehouse renamed, places moved and closed, stock below zero, documents cancelled", short=True, hold=1)
def reorganised(run: Run) -> Iterator[None]:
    run.transaction("UPDATE warehouse SET code = 'W1-OLD' WHERE id = 1")
    run.transaction(
        "UPDATE location SET warehouse_id = 3 WHERE id IN (4, 7)", "UPDATE location SET usage = 'lost' WHERE id = 5"
    )
    run.transaction("UPDATE quant SET quantity = -quantity WHERE id BETWEEN 80 AND 90")  # issued twice
    run.transaction("UPDATE quant SET reserved = reserved + 5000 WHERE id BETWEEN 91 AND 99")
    yield
    run.transaction("UPDATE quant SET quantity = -quantity WHERE id BETWEEN 80 AND 90")  # and cancelled
    run.transaction("UPDATE quant SET reserved = reserved - 5000 WHERE id BETWEEN 91 AND 99")
    run.transaction(
        "UPDATE location SET warehouse_id = 2 WHERE id IN (4, 7)", "UPDATE location SET usage = 'internal' WHERE id = 5"
    )
    run.transaction("UPDATE warehouse SET code = 'W1' WHERE id = 1")
