"""Following a real Redis that was filled by hand, by the contract."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis

from infra.demo.feed import Feed
from infra.stack.redis import Redis

FIELDS = {"on_hand": "5", "reserved": "0", "available": "5", "changed": "2026-11-22T10:00:00.123Z", "v": "1"}


@pytest.fixture
def prefix() -> str:
    return f"t{uuid4().hex[:8]}"


@pytest.fixture
def server(redis_server: Redis) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_server.url)
    yield client
    client.close()


@pytest.fixture
def feed(redis_server: Redis, prefix: str, server: redis.Redis) -> Iterator[Feed]:
    server.hset(f"{prefix}:meta", mapping={"state": "live", "as_of": "2026-11-22T10:00:00.200Z"})
    for key in ("{RIM}", "{RIM}:WH", "{RIM}:WH:location=A-1,lot=R-1", "{HUB%3A1}:WH"):
        server.hset(f"{prefix}:{key}", mapping=FIELDS)
    server.xadd(f"{prefix}:changes", {"key": f"{prefix}:{{OLD}}:WH", **FIELDS})
    with Feed(redis_server.url, prefix) as feed:
        yield feed


def test_the_snapshot_holds_items_in_warehouses(feed: Feed) -> None:
    assert {(change.item, change.warehouse) for change in feed.snapshot()} == {("RIM", "WH"), ("HUB:1", "WH")}
    assert feed.meta["state"] == feed.state() == "live"
    assert len(feed.documents()) == 4


def test_following_goes_on_from_the_snapshot(feed: Feed, server: redis.Redis, prefix: str) -> None:
    feed.snapshot()
    assert feed.follow(wait_ms=1) == []
    server.xadd(f"{prefix}:changes", {"key": f"{prefix}:{{RIM}}:WH", **FIELDS, "on_hand": "4"})
    server.hset(f"{prefix}:alerts", "x", '{"id": "x", "item": "RIM", "since": "2026-11-22T10:00:00.123Z"}')
    [change] = feed.follow(wait_ms=1000)
    assert (change.item, change.warehouse, change.fields["on_hand"], change.changed_ms) == (
        "RIM",
        "WH",
        "4",
        1795341600123,
    )
    assert change.seen_ms > change.changed_ms
    assert [alert["id"] for alert in feed.alerts] == ["x"]
    assert feed.follow(wait_ms=1) == []
