"""Whatever keeps a real Redis from taking a write is waited for, with its reason, and the write is there in the end."""

import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from infra.stack import Stack
from infra.stack.redis import Redis as Server
from pipeline.adapters import patience
from pipeline.adapters.redis import Projection
from pipeline.adapters.served import Reader
from tests.adapters.test_redis import EPOCH, Site
from tests.faults.proxy import Proxy

Change = Callable[[redis.Redis], object]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Stack(parts=()) as stack:
        stack.start("redis")
        yield stack.redis


@pytest.fixture
def site(server: Server) -> Iterator[Site]:
    site = Site(server.url)
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    yield site
    site.close()


def config(name: str, value: object) -> Change:
    return lambda client: client.config_set(name, value)


def command(*words: str) -> Change:
    return lambda client: client.execute_command(*words)


def break_off(client: redis.Redis) -> None:
    client.config_set("maxclients", 1)
    client.client_kill_filter(_type="normal", skipme=True)


@pytest.mark.parametrize(
    ("breaks", "mends", "why", "says"),
    [
        (config("maxmemory", 1), config("maxmemory", 0), "OutOfMemory", "out of memory"),
        (command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE"), "ReadOnly", "replica"),
        (command("ACL", "SETUSER", "default", "-fcall"), command("ACL", "SETUSER", "default", "+fcall"), "NoPerm", ""),
        (command("ACL", "SETUSER", "default", "-hset"), command("ACL", "SETUSER", "default", "+hset"), "", ""),
        (config("min-replicas-to-write", 1), config("min-replicas-to-write", 0), "NOREPLICAS", ""),
        (command("FUNCTION", "FLUSH"), command("PING"), "Function not found", ""),
        (break_off, config("maxclients", 1000), "", ""),
        (command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), command("PING"), "", ""),
    ],
    ids=["full", "read-only", "no right", "no right within", "no replicas", "functions", "clients", "cut off"],
)
def test_it_is_waited_for_and_said(site: Site, breaks: Change, mends: Change, why: str, says: str) -> None:
    seen: list[tuple[str, list[str]]] = []

    def retrying() -> None:
        if len(seen) < 2:  # it must last for more than one try
            seen.append((site.projection.why, site.reader.complaints() if says else []))
        else:
            mends(site.redis)

    assert site.redis.ping()
    site.when_retrying = retrying
    breaks(site.redis)
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    mends(site.redis)
    assert site.held("RIM")["on_hand"] == "9"
    assert any(why in reason for reason, _ in seen), seen
    assert all(any(says in complaint for complaint in complaints) for _, complaints in seen if says), seen


def test_a_busy_script_is_waited_for(site: Site) -> None:
    def loop() -> None:
        with redis.Redis(connection_pool=redis.ConnectionPool(**site.redis.get_connection_kwargs())) as client:
            try:
                client.eval("while true do end", 0)
            except redis.ResponseError as e:
                killed.append(str(e))

    killed: list[str] = []
    site.redis.config_set("busy-reply-threshold", 50)
    looping = threading.Thread(target=loop)
    looping.start()
    site.when_retrying = lambda: killed or (looping.is_alive() and site.redis.script_kill())
    while "BUSY" not in _word(site.redis):
        pass
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    looping.join()
    assert site.retries > 0
    assert killed
    assert site.held("RIM")["on_hand"] == "9"


def _word(client: redis.Redis) -> str:
    try:
        return str(client.ping())
    except redis.RedisError as e:
        return str(e)


def test_a_snapshot_that_cannot_be_written_is_waited_for(site: Site, server: Server) -> None:
    dump = server.home / "dump.rdb"
    (dump / "taken").mkdir(parents=True)
    site.redis.config_set("save", "3600 1000")
    site.redis.bgsave()
    while site.redis.info("persistence")["rdb_last_bgsave_status"] != "err":
        pass
    seen: list[str] = []

    def retrying() -> None:
        seen.extend([site.projection.why, *site.reader.complaints()])
        site.redis.config_set("save", "")

    site.when_retrying = retrying
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    assert "MISCONF" in seen[0]
    assert "cannot write its snapshot" in seen[1]
    assert site.held("RIM")["on_hand"] == "9"
    (dump / "taken").rmdir()
    dump.rmdir()
    site.redis.bgsave()
    while site.redis.info("persistence")["rdb_last_bgsave_status"] != "ok":
        pass


def test_a_password_that_was_rotated_is_read_anew(site: Site) -> None:
    password = [None, "another"]
    projection = Projection(_url(site), site.prefix, EPOCH, lambda: password[0], site._retried)
    site.run(projection.publish([site.cut(2, 1)]))
    site.redis.config_set("requirepass", "another")
    site.redis.execute_command("AUTH", "another")
    site.redis.client_kill_filter(_type="normal", skipme=True)
    whys: list[str] = []

    def retrying() -> None:
        whys.append(projection.why)
        if len(whys) == 2:
            password.pop(0)

    site.when_retrying = retrying
    site.run(projection.publish([site.cut(3, 2, site.level("RIM", 3, 9))]))
    assert site.held("RIM")["on_hand"] == "9"
    assert "Authentication" in whys[1]
    assert not any("another" in why for why in whys)
    site.redis.config_set("requirepass", "")
    site.run(projection.close())


def _url(site: Site) -> str:
    where = site.redis.get_connection_kwargs()
    return f"redis://{where['host']}:{where['port']}/0"


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port, seed=5) as proxy:
        yield proxy


@pytest.fixture
def behind(site: Site, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Projection]:
    """The same prefix written through the proxy; an answer may take half a second."""
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.5)
    projection = Projection(f"redis://127.0.0.1:{proxy.port}/0", site.prefix, EPOCH, None, site._retried)
    site.run(projection.publish([site.cut(2, 1)]))
    yield projection
    site.run(projection.close())


@pytest.mark.parametrize("weather", [{"swallow": True}, {"stall": True}, {"delay": 3.0}], ids=str)
@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_a_half_open_connection_is_given_up_and_made_anew(
    site: Site, proxy: Proxy, behind: Projection, way: str, weather: dict[str, object]
) -> None:
    before = proxy.accepted
    proxy.set(way, **weather)
    site.when_retrying = lambda: site.retries < 2 or proxy.heal()
    site.run(behind.publish([site.cut(3, 2, site.level("RIM", 3, 9))]))
    assert "Timeout" in behind.why
    assert proxy.accepted > before + 1
    assert site.held("RIM")["on_hand"] == "9"
    assert site.meta_v() == site.cut(3, 2).v


def test_a_slow_and_sliced_line_only_takes_its_time(site: Site, proxy: Proxy, behind: Projection) -> None:
    proxy.set(delay=0.05, jitter=0.02, slice=7)
    site.run(behind.publish([site.cut(n, n - 1, site.level("RIM", n, n)) for n in range(3, 9)]))
    assert site.retries == 0
    assert site.held("RIM")["on_hand"] == "8"


def test_a_connection_that_is_reset_or_refused_is_made_anew(site: Site, proxy: Proxy, behind: Projection) -> None:
    proxy.refuse()
    proxy.reset()
    site.when_retrying = lambda: site.retries < 3 or proxy.heal()
    site.run(behind.publish([site.cut(3, 2, site.level("RIM", 3, 9))]))
    assert site.retries == 3
    assert site.held("RIM")["on_hand"] == "9"


def test_a_reader_says_that_a_half_open_redis_does_not_answer(proxy: Proxy) -> None:
    from pipeline.domain.errors import NotReadyError

    reader = Reader(f"redis://127.0.0.1:{proxy.port}/0", "stock")
    reader._redis.get_connection_kwargs().update(socket_timeout=0.3)
    proxy.set(swallow=True)
    with pytest.raises(NotReadyError, match="does not answer"):
        reader.meta()
    proxy.heal()
    assert reader.meta() == {}
    reader._redis.close()


def test_foreign_values_that_a_reader_meets_are_no_values(site: Site) -> None:
    site.redis.set(site.key("X"), "a text")
    assert site.reader.read([site.key("X"), site.key("RIM")])[site.key("X")] == {}
    site.redis.hset(f"{site.prefix}:alerts", "x", "no JSON")
    from pipeline.domain.errors import NotReadyError

    with pytest.raises(NotReadyError, match="makes no sense"):
        site.reader.alerts()
    site.redis.execute_command("HSET", site.key("B"), "on_hand", b"\xff\xfe")
    assert site.reader.read([site.key("B")])[site.key("B")] == {"on_hand": "\ufffd\ufffd"}
