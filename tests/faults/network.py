"""F24c, F25, F26: the lines between the parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from infra.stack import Stack
from tests.e2e.source import Source
from tests.faults.proxy import Proxy
from tests.faults.registry import fault
from tests.faults.run import Run

PARTS = ("postgres", "kafka", "connect", "redis")
LINES: dict[Stack, Proxy] = {}
"""The proxy before the broker of a stack: worker, Connect and commands all go through it."""
PROXIES: dict[Source, dict[str, Proxy]] = {}


@contextmanager
def proxied_broker() -> Iterator[Stack]:
    """A stack of its own whose broker sends its clients to a proxy."""
    with Stack(parts=()) as stack, Proxy(stack.kafka.port) as proxy:
        stack.kafka.advertised = proxy.port
        LINES[stack] = proxy
        stack.start(*PARTS)
        try:
            yield stack
        finally:
            del LINES[stack]


@contextmanager
def proxied(source: Source) -> Iterator[None]:
    """Proxies from worker to Redis and from Connect to the database, and the broker's where there is one."""
    stack = source.stack
    with Proxy(stack.redis.port, seed=1) as to_redis, Proxy(stack.postgres.port, seed=2) as to_postgres:
        database = stack.postgres.url(source.name, user="cdc")
        port = urlsplit(database).port
        source.write_config(
            source.pack,
            redis_url=f"redis://{stack.redis.host}:{to_redis.port}/0",
            database=database.replace(f":{port}/", f":{to_postgres.port}/"),
        )
        PROXIES[source] = {"redis": to_redis, "postgres": to_postgres}
        if stack in LINES:
            PROXIES[source]["kafka"] = LINES[stack]
        try:
            yield
        finally:
            for proxy in PROXIES.pop(source).values():
                proxy.heal()


def _lines(run: Run) -> list[Proxy]:
    lines = list(PROXIES[run.source].values())
    run.rng.shuffle(lines)
    return lines


@fault("F24c", "Redis half-open: the line swallows everything for 12 s", around=proxied, hold=12)
def half_open(run: Run) -> Iterator[None]:
    proxy = PROXIES[run.source]["redis"]
    proxy.set(swallow=True)
    yield
    proxy.heal()


@fault("F24d", "the lines to Redis and to the database reset, ten times", around=proxied, hold=0)
def resets(run: Run) -> Iterator[None]:
    for _ in range(10):
        for proxy in _lines(run):
            proxy.reset()
        run.work(20)
    yield


@fault("F25a", "the line from the worker to Redis, one way and both ways", around=proxied, hold=8)
def one_line_cut(run: Run) -> Iterator[None]:
    proxy = PROXIES[run.source]["redis"]
    for way in ("up", "down"):
        proxy.set(way, stall=True)
        run.work(100)
        proxy.heal()
        run.work(20)
    proxy.set(stall=True)
    yield
    proxy.heal()


@fault("F25b", "every line cut one by one, healed in another order", stack=proxied_broker, around=proxied, hold=12)
def swizzled(run: Run) -> Iterator[None]:
    for proxy in _lines(run):
        proxy.set(stall=True)
        run.work(50)
    yield
    for proxy in _lines(run):
        proxy.heal()
        run.work(50)


@fault("F25c", "the broker swallows what it is sent for 15 s", stack=proxied_broker, around=proxied, hold=15)
def broker_half_open(run: Run) -> Iterator[None]:
    proxy = PROXIES[run.source]["kafka"]
    proxy.set(swallow=True)
    yield
    proxy.heal()
    proxy.reset()


@fault("F26", "every line slow: 0.2 to 0.4 s and 1 Mbit", stack=proxied_broker, around=proxied, hold=15)
def slow(run: Run) -> Iterator[None]:
    for proxy in _lines(run):
        proxy.set(delay=0.2, jitter=0.2, bandwidth=125_000, slice=1400)
    yield
    for proxy in _lines(run):
        proxy.heal()
