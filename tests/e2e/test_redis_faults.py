"""Redis under every fault it can have, while stock is booked: said, healed, and no reader sees a version go back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from infra.stack import Stack
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for
from tests.faults.proxy import Proxy

WAITS = "Redis does not take our writes"
DECLARED = {"rebuilding", "replaying", "snapshot", None}


class Behind(Source):
    """A source whose worker and readers reach Redis through a proxy, with a password that may change."""

    def __init__(self, stack: Stack, name: str, proxy: Proxy) -> None:
        self.proxy = proxy
        self.redis_password = stack.secret(f"{name}-redis", "")
        super().__init__(stack, name)

    def write_config(self, pack: str) -> None:
        super().write_config(pack)
        behind = f'url = "redis://127.0.0.1:{self.proxy.port}/0"\npassword_file = "{self.redis_password}"'
        self.config.write_text(self.config.read_text().replace(f'url = "{self.stack.redis.url}"', behind))

    def _says(self, after: int, why: str) -> bool:
        lines = self.log.read_bytes()[after:].decode().splitlines()
        return any(WAITS in line and why in line for line in lines)

    @contextmanager
    def saying(self, why: str = "") -> Iterator[None]:
        """While this lasts the worker says that it waits, and why; it has not ended."""
        before = self.log.stat().st_size
        yield
        wait_for(lambda: self._says(before, why), f"the worker says that it waits: {why}")
        assert self.worker is not None
        assert self.worker.poll() is None, self.tail()


class Watch:
    """A reader as the README advises: level and meta in one MULTI. `back`: when a version went back undeclared."""

    def __init__(self, port: int, prefix: str, password: Path) -> None:
        self.reads, self.back, self.declared = 0, list[tuple[float, str]](), list[float]()
        self._where, self._prefix, self._password = port, prefix, password
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        highest = {"level": "", "meta": ""}
        while not self._stop.is_set():
            url = f"redis://127.0.0.1:{self._where}/0"
            password = self._password.read_text() or None
            client = redis.Redis.from_url(url, password=password, decode_responses=True, socket_timeout=15)
            try:
                while not self._stop.is_set():
                    self._look(client, highest)
            except redis.RedisError:
                time.sleep(0.02)  # the fault itself
            finally:
                client.close()

    def _look(self, client: redis.Redis, highest: dict[str, str]) -> None:
        pipe = client.pipeline(transaction=True)
        pipe.hget(f"{self._prefix}:{{PROBE}}:W1", "v")
        pipe.hmget(f"{self._prefix}:meta", "v", "state")
        level, (whole, state) = pipe.execute()
        self.reads += 1
        if state in DECLARED:
            self.declared.append(time.monotonic())
            return
        for name, v in (("level", level), ("meta", whole)):
            if v is not None and v < highest[name]:
                self.back.append((time.monotonic(), f"{name} went back from {highest[name]} to {v} while {state}"))
            highest[name] = max(v or "", highest[name])


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Behind]:
    with Proxy(stack.redis.port, seed=1) as proxy:
        source = Behind(stack, "redis_faults", proxy)
        with source.attached():
            yield source


@contextmanager
def configured(source: Source, **settings: Any) -> Iterator[None]:
    """Redis with other settings for a while."""
    names = {name.replace("_", "-"): value for name, value in settings.items()}
    before = {name: source.redis.config_get(name)[name] for name in names}
    for name, value in names.items():
        source.redis.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            source.redis.config_set(name, value)


def slow(source: Behind) -> None:
    source.proxy.set(delay=2.0)
    served = source._served()
    wait_for(lambda: source._served() > served, "it is served, slowly")
    source.proxy.heal()


def half_open(source: Behind) -> None:
    with source.saying("Timeout"):
        source.proxy.set(swallow=True)
        wait_for(lambda: source.proxy.accepted, "connected")
    source.proxy.heal()


def reset(source: Behind) -> None:
    with source.saying():
        source.proxy.refuse()
        source.proxy.reset()
    source.proxy.heal()


def read_only(source: Behind) -> None:
    with source.saying("ReadOnly"):
        source.redis.replicaof("127.0.0.1", 1)
        assert "replica" in source.onhand("status", "-o", "json").stdout
    source.redis.replicaof("NO", "ONE")


def out_of_memory(source: Behind) -> None:
    with configured(source, maxmemory=1), source.saying("OutOfMemory"):
        assert "out of memory" in source.onhand("status", "-o", "json").stdout


def no_disk(source: Behind) -> None:
    dump = source.stack.redis.home / "dump.rdb"
    (dump / "taken").mkdir(parents=True)  # no snapshot can be put in its place
    try:
        with configured(source, save="1 1"), source.saying("MISCONF"):
            pass
    finally:
        (dump / "taken").rmdir()
        dump.rmdir()
    source.redis.bgsave()


def busy(source: Behind) -> None:
    with configured(source, busy_reply_threshold=50), redis.Redis.from_url(source.stack.redis.url) as client:
        looping = threading.Thread(target=_loop, args=(client,))
        with source.saying("BUSY"):
            looping.start()
        source.redis.script_kill()
        looping.join()


def _loop(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


def paused(source: Behind) -> None:
    source.redis.client_pause(3000)


def no_rights(source: Behind) -> None:
    with source.saying("NoPermission"):
        source.redis.execute_command("ACL", "SETUSER", "default", "-fcall")
    source.redis.execute_command("ACL", "SETUSER", "default", "+fcall")


def password_rotated(source: Behind) -> None:
    source.redis.config_set("requirepass", "changed-meanwhile")
    try:
        with source.saying("Authentication"):
            source.proxy.reset()
        source.redis_password.write_text("changed-meanwhile")
        source.wait_until_served()
    finally:
        source.redis.config_set("requirepass", "")
        source.redis_password.write_text("")
    assert "changed-meanwhile" not in source.log.read_text()


def too_many_clients(source: Behind) -> None:
    with configured(source, maxclients=1), source.saying("number of clients"):
        source.proxy.reset()


def functions_lost(source: Behind) -> None:
    with source.saying("Function not found"):
        source.redis.function_flush()


def emptied(source: Behind) -> None:
    source.redis.flushall()
    wait_for(lambda: source.meta().get("state") == "live", "projected anew")


def restarted_empty(source: Behind) -> None:
    source.stack.kill("redis")
    for file in (source.stack.redis.home / "appendonlydir").iterdir():
        file.unlink()
    source.stack.start("redis")
    wait_for(lambda: source.meta().get("state") == "live", "projected anew")


def foreign_hands(source: Behind) -> None:
    gone = next(d["key"] for d in source.documents() if d["item"].startswith("I"))
    source.redis.hset(f"{source.prefix}:{{PAIR}}:W1", mapping={"on_hand": "1", "v": "9999999999.9999999999999999"})
    source.redis.delete(gone, f"{source.prefix}:negative", f"{source.prefix}:alerts")
    source.redis.set(f"{source.prefix}:{{PROBE}}", "x") and source.redis.hset(f"{source.prefix}:{{X}}", "on_hand", "1")
    wait_for(lambda: source.redis.exists(gone), "what was lost is back")
    wait_for(lambda: source.redis.hget(f"{source.prefix}:{{X}}", "deleted"), "the ghost is gone")
    wait_for(lambda: float(source.on_hand("PAIR", "W1") or 1) > 1, "the figure is right again")
    assert "Redis held what we did not write: mended" in source.log.read_text()
    assert "were not what the worker wrote" in source.onhand("status", "-o", "json").stdout


def evicting(source: Behind) -> None:
    keys = len(source.redis.keys(f"{source.prefix}:{{*"))
    full = source.redis.info("memory")["used_memory"]
    with configured(source, maxmemory_policy="allkeys-random", maxmemory=full - 100_000):
        wait_for(lambda: source.redis.info("stats")["evicted_keys"] > 20, "keys are evicted")
        wait_for(lambda: "may evict" in source.log.read_text(), "the worker says so")
        assert "may evict" in source.onhand("status", "-o", "json").stdout
    wait_for(lambda: len(source.redis.keys(f"{source.prefix}:{{*")) >= keys * 0.9, "they are back")


FAULTS = [
    slow, half_open, reset, read_only, out_of_memory, no_disk, busy, paused, no_rights, password_rotated,
    too_many_clients, functions_lost, emptied, restarted_empty, foreign_hands, evicting,
]  # fmt: skip
EVERY_TIME = (emptied,)


@pytest.mark.parametrize(
    "fault",
    [f if f in EVERY_TIME else pytest.param(f, marks=pytest.mark.long) for f in FAULTS],
    ids=lambda f: f.__name__,
)
def test_it_is_said_and_heals_and_no_version_goes_back(source: Behind, fault: Callable[[Behind], None]) -> None:
    with Watch(source.stack.redis.port, source.prefix, source.redis_password) as watch:
        with Writers(source) as writers:
            wait_for(lambda: writers.transactions > 100, "writers at work")
            fault(source)
            seen = writers.transactions
            wait_for(lambda: writers.transactions > seen + 100, "writers go on")
        source.wait_until_served()
        wait_for(lambda: source.meta().get("state") == "live", "live again")
    assert watch.back == []
    assert watch.reads > 100
    source.verify()


@pytest.mark.long
def test_an_older_replica_is_declared_at_once(source: Behind, record_property: Callable[[str, object], None]) -> None:
    """Here alone a version goes back, since Redis itself did: until the next cut, or look, reaches it."""
    with Stack(parts=("redis",)) as other:
        replica = redis.Redis.from_url(other.redis.url, decode_responses=True)
        replica.replicaof("127.0.0.1", source.stack.redis.port)
        wait_for(lambda: replica.hget(f"{source.prefix}:meta", "state") == "live", "the replica follows")
        with Watch(source.proxy.port, source.prefix, source.redis_password) as watch:
            with Writers(source) as writers:
                replica.replicaof("NO", "ONE")
                wait_for(lambda: writers.transactions > 300, "the replica falls behind")
                source.wait_until_served()
                source.proxy.target = ("127.0.0.1", other.redis.port)
                source.proxy.reset()
                wait_for(lambda: watch.declared, "declared")
                wait_for(lambda: replica.hget(f"{source.prefix}:meta", "state") == "live", "projected anew")
                seen = len(watch.back)
            served = source.position()
            wait_for(lambda: _position(replica, source.prefix) >= served, "the new one is served up to now")
        assert len(watch.back) == seen, "a version went back after the rebuild"
        window = watch.declared[0] - watch.back[0][0] if watch.back else 0.0
        record_property("seconds until declared", round(window, 3))
        assert window < 5
        assert all(at < watch.declared[0] for at, _ in watch.back)
        source.verify()
        replica.close()
        source.proxy.target = ("127.0.0.1", source.stack.redis.port)
        source.proxy.reset()
    source.wait_until_served()
    source.verify()


def _position(client: redis.Redis, prefix: str) -> int:
    high, _, low = (client.hget(f"{prefix}:meta", "position") or "0/0").partition("/")
    return (int(high, 16) << 32) + int(low, 16)


@pytest.mark.long
def test_killed_and_restarted_with_its_disk(source: Behind) -> None:
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 100, "writers at work")
        source.stack.kill("redis")
        source.stack.start("redis")
        seen = writers.transactions
        wait_for(lambda: writers.transactions > seen + 100, "writers go on")
    source.wait_until_served()
    source.verify()


@pytest.mark.long
def test_emptied_while_nothing_comes_from_the_erp(source: Behind) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/pause", timeout=10).raise_for_status()
    wait_for(lambda: requests.get(f"{connector}/status", timeout=10).json()["tasks"][0]["state"] == "PAUSED", "paused")
    time.sleep(1.5)  # what was under way has come
    before = source.meta()
    source.redis.flushall()
    wait_for(lambda: source.meta() == before, "projected anew")
    requests.put(f"{connector}/resume", timeout=10).raise_for_status()
    source.wait_until_served()
    source.verify()
