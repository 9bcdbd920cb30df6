"""The Redis of the simulations answers and keeps what the real one does, command by command."""

from typing import Any
from urllib.parse import urlparse

import hiredis
import pytest
import redis
from redis.connection import Connection

from infra.stack.redis import Redis
from tests.simulation.server import Server
from tests.simulation.world import Fault, Plan, World, simulate

SPOKEN = {b"CLIENT", b"SELECT", b"INFO"}
"""Of these the real one tells more about itself."""


def commands_of(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """What workers sent in a simulation with deaths, and without losses of Redis."""
    found: list[list[bytes]] = []
    execute = World.execute

    def kept(self: World, command: list[bytes]) -> bytes:
        found.append(command)
        return execute(self, command)

    monkeypatch.setattr(World, "execute", kept)
    plan = Plan(
        seed, 20, bad=True, weeks=False, faults=[Fault(step, "kill", 0.0) for step in (40, 90, 170)], scrubs=True
    )
    assert simulate(plan).failure is None
    return [command for command in found if command[0] not in SPOKEN]


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def same(command: list[bytes], value: Any) -> Any:
    """A scan's keys and a hash's fields come in any order."""
    if command[0] == b"HGETALL":
        return dict(zip(value[::2], value[1::2], strict=True))
    return sorted(value[1]) if isinstance(value, list) and len(value) == 2 and isinstance(value[1], list) else value


def data_of(client: redis.Redis) -> dict[str, Any]:
    read = {
        "hash": client.hgetall,
        "zset": lambda key: dict(client.zrange(key, 0, -1, withscores=True)),
        "set": client.smembers,
        "stream": lambda key: [fields for _, fields in client.xrange(key)],
    }
    return {key: read[client.type(key)](key) for key in client.scan_iter()}


@pytest.mark.parametrize("seed", range(6))
def test_the_same_commands(seed: int, redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = commands_of(seed, monkeypatch)
    assert {c[0] for c in commands} >= {b"FUNCTION", b"FCALL", b"HGETALL", b"HSET", b"SCAN"}
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    client.flushall()
    url = urlparse(redis_server.url)
    wire = Connection(host=url.hostname, port=url.port, protocol=2)
    wire.connect()
    memory = Server()
    for command in commands:
        wire.send_command(*command)
        assert same(command, wire.read_response()) == same(command, parsed(memory.answer(command))), command[:3]
    assert data_of(client) == memory.data
    assert {k for k in memory.data if client.ttl(k) > 0} == set(memory.expires)
    wire.disconnect()
    client.close()


def test_errors_are_the_real_ones(redis_server: Redis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.function_flush()
    for command in ([b"FCALL", b"onhand_publish", b"0"],):
        with pytest.raises(redis.ResponseError) as real:
            client.execute_command(*command)
        assert str(real.value) == str(parsed(Server().answer(command))).removeprefix("ERR ")
    client.close()
