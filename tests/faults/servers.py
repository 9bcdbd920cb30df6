"""F5, F7, F11, F20: servers of the stack killed and stopped."""

import threading
from collections.abc import Iterator

import psycopg

from tests.faults.registry import fault
from tests.faults.run import Run

COPIED = 100_000


def _again(run: Run, name: str) -> None:
    run.stack.start(name)
    if name == "postgres":
        run.source.reconnect()


@fault("F5a", "Connect killed", short=True, hold=0.5)
def connect_killed(run: Run) -> Iterator[None]:
    run.stack.kill("connect")
    yield
    _again(run, "connect")


@fault("F5b", "Connect killed within a COPY of 100,000 rows, transactions interleaved", hold=0.5)
def connect_killed_in_a_copy(run: Run) -> Iterator[None]:
    with psycopg.connect(run.stack.postgres.url(run.source.name)) as sql:
        with sql.cursor().copy("COPY quant (id, item_id, location_id, quantity, reserved) FROM STDIN") as copy:
            for n in range(COPIED):
                copy.write_row((200_000 + n, 1 + n % 200, 1 + n % 30, 1, None))
        run.work(20)  # commits inside of the open transaction
    end = run.log_end()
    run.wait(lambda: run.log_end() > end + COPIED * run.rng.uniform(0.1, 0.8), "in the middle of it")
    run.stack.kill("connect")
    yield
    _again(run, "connect")


@fault("F7a", "Kafka restarted", hold=0.5)
def kafka_restarted(run: Run) -> Iterator[None]:
    run.stack.stop("kafka")
    yield
    _again(run, "kafka")


@fault("F7b", "Kafka killed", short=True, hold=0.5)
def kafka_killed(run: Run) -> Iterator[None]:
    run.stack.kill("kafka")
    yield
    _again(run, "kafka")


@fault("F11a", "PostgreSQL restarted, fast", hold=0.5)
def postgres_restarted(run: Run) -> Iterator[None]:
    run.stack.stop("postgres")
    yield
    _again(run, "postgres")


@fault("F11b", "PostgreSQL killed", short=True, hold=0.5)
def postgres_killed(run: Run) -> Iterator[None]:
    run.stack.kill("postgres")
    yield
    _again(run, "postgres")


@fault("F20a", "Redis killed, its file kept", short=True, hold=0.5)
def redis_killed(run: Run) -> Iterator[None]:
    run.stack.kill("redis")
    yield
    _again(run, "redis")


@fault("F20b", "Redis restarted with nothing", short=True, hold=0.5)
def redis_restarted_empty(run: Run) -> Iterator[None]:
    run.stack.stop("redis")
    for part in sorted((run.stack.redis.home / "appendonlydir").iterdir()):
        part.unlink()
    yield
    _again(run, "redis")


@fault("F20c", "all servers killed at once, started again", hold=0.5)
def everything_killed(run: Run) -> Iterator[None]:
    names = ["postgres", "kafka", "connect", "redis"]
    run.rng.shuffle(names)
    killers = [threading.Thread(target=run.stack.kill, args=(name,)) for name in names]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join()
    yield
    run.stack.start(*names)
    run.source.reconnect()
