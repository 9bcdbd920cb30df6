"""The reading snippets of the README, run against real Redis: the number when it may be relied on, else a refusal."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from infra.stack.java import _java
from infra.stack.redis import Redis
from tests.docs import served
from tests.docs.conftest import READ

Serve = Callable[..., redis.Redis]
Read = Callable[..., subprocess.CompletedProcess[str]]
STOCK = ("TYRE-40", "SHOP", 12, 4)
ODD = ("M8: 40%,~{x}=\x7f", "MAIN HALL", 7, 0)


@pytest.fixture(params=["python", "java", "node"])
def read(request: pytest.FixtureRequest, redis_server: Redis) -> Read:
    """Runs a snippet as a person would: item, warehouse, oldest age in seconds."""
    command = COMMANDS[request.param](request)

    def run(item: str, warehouse: str, max_age: float = 60) -> subprocess.CompletedProcess[str]:
        typed = [*command, redis_server.url, item, warehouse, str(max_age)]
        return subprocess.run(typed, capture_output=True, text=True, check=False, timeout=60)

    return run


def java(request: pytest.FixtureRequest) -> list[str]:
    jars: Path = request.getfixturevalue("jars")
    return [_java(), "-cp", f"{jars}/*", str(READ / "Read.java")]


def node(request: pytest.FixtureRequest) -> list[str]:
    return ["node", str(request.getfixturevalue("node_program"))]


COMMANDS = {"python": lambda _: [sys.executable, str(READ / "read.py")], "java": java, "node": node}


def test_a_fresh_level_is_printed(serve: Serve, read: Read) -> None:
    serve(STOCK, ODD)
    for item, warehouse, on_hand, reserved in (STOCK, ODD):
        done = read(item, warehouse)
        assert (done.returncode, done.stdout.strip()) == (0, str(on_hand - reserved)), done.stderr
    assert read("NO-SUCH-ITEM", "SHOP").stdout.strip() == "0"


def test_what_cannot_be_relied_on_is_refused(serve: Serve, read: Read) -> None:
    def refused(because: str) -> None:
        done = read("TYRE-40", "SHOP")
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        assert f"not to be relied on: {because}" in done.stderr

    refused("nothing served")
    client = serve(STOCK, seconds_old=3600)
    refused("live, 36")
    client.hset("stock:{TYRE-40}:SHOP", "degraded", "4711: not a number")
    refused("4711: not a number")
    client.hdel("stock:{TYRE-40}:SHOP", "degraded")
    assert read("TYRE-40", "SHOP", max_age=7200).stdout.strip() == "8"
    client.hset("stock:meta", mapping=served.meta(round(time.time() * 1000), quarantined=True))
    refused("degraded")
    client.hset("stock:meta", "state", "applying")
    refused("applying")
