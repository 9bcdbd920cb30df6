"""A real Redis is compared with the worker's memory: what a foreign hand changed, and what was lost, is put back."""

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import redis

from infra.stack.redis import Redis as Server
from pipeline import telemetry
from pipeline.adapters.debezium import LogReader
from pipeline.adapters.redis import GONE_SECONDS, Projection, version
from pipeline.domain.errors import RefusedError
from pipeline.domain.levels import stock_levels
from streams.fold import StockFold
from streams.ledger import Ledger
from streams.publish import Publisher
from streams.scrub import BUSY_LOOKS, Scrub
from tests.streams.erp import Log, compiled, item, place, quant
from tests.streams.test_publish import EPOCH, ME, Notes, Topic

_numbers = count(1)
SERVER = "onhand.small"
Hand = Callable[["Site"], Any]


def new_fold(prefix: str) -> StockFold:
    engine = compiled()
    levels = stock_levels(prefix, engine.views["stock"], "stock")
    return StockFold(engine, levels, LogReader(SERVER, engine.tables))


class Site:
    """A worker without Kafka: a log, its publisher on a real Redis, and the scrub."""

    def __init__(
        self, url: str, rate: int = 1000, fold: Callable[[str], StockFold] = new_fold, feeds: Any = None
    ) -> None:
        self.prefix = f"scrub{next(_numbers)}"
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.fold = fold(self.prefix)
        self.projection = Projection(url, self.prefix, EPOCH, None, lambda: None)
        self.log = Log().begun()
        self.ledger = Ledger(replay_until=3)
        self.publisher = Publisher(
            ME, self.fold, self.projection, ledger=self.ledger, alerts=Topic(), notes=Notes(), now=lambda: 10.0,
            feeds=feeds(self.fold) if feeds else None,
        )  # fmt: skip
        self.scrub = Scrub(self.prefix, self.fold, rate, now=lambda: 10.0)
        self.runner = asyncio.Runner()
        self.n = 0

    def book(self, *ops: Any) -> None:
        self.n += 1
        self.log.transaction(self.n, list(ops))
        rest = [r for r in self.log.records if r.offset > self.ledger.folded]
        self.runner.run(self.publisher.take(rest))
        self.runner.run(self.publisher.settled())

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.scrub._rest_until = 0.0
            self.runner.run(self.publisher.at_standstill(self.scrub.look))

    def everything(self) -> dict[str, Any]:
        kinds = {"hash": self.redis.hgetall, "zset": lambda k: self.redis.zrange(k, 0, -1, withscores=True)}
        names = self.redis.keys(f"{self.prefix}:*")
        return {
            k: (kinds[kind](k), self.redis.ttl(k))
            for k in sorted(names)
            if (kind := self.redis.type(k)) in kinds and not k.endswith(":scrub")
        }

    def found(self) -> dict[str, float]:
        return {
            sample.labels["kind"]: sample.value
            for metric in telemetry.REDIS_FOREIGN.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["source"] == self.prefix
        }

    def key(self, tail: str) -> str:
        return f"{self.prefix}:{tail}"

    def v(self) -> str:
        return self.redis.hget(self.key("meta"), "v")

    def close(self) -> None:
        self.runner.run(self.projection.close())
        self.runner.close()
        self.redis.close()


@pytest.fixture
def site(redis_server: Server) -> Iterator[Site]:
    site = Site(redis_server.url)
    site.book(item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5, 9), quant(2, 2, 1, 8))
    site.book(quant(3, 2, 1, 1))
    yield site
    site.close()


RIM = "{A}:W1"
NEWER = version(EPOCH + 1, 0)


def hset(tail: str, **fields: str) -> Hand:
    return lambda site: site.redis.hset(site.key(tail), mapping=fields)


def delete(tail: str) -> Hand:
    return lambda site: site.redis.delete(site.key(tail))


def retype(tail: str) -> Hand:
    return lambda site: (site.redis.delete(site.key(tail)), site.redis.set(site.key(tail), "x"))


def other_alert(site: Site) -> None:
    held = json.loads(site.redis.hget(site.key("alerts"), alert_id(site)))
    site.redis.hset(site.key("alerts"), alert_id(site), json.dumps(held | {"since": "2001"}))


def alert_id(site: Site) -> str:
    (ident,) = site.fold.book.open
    return ident


HANDS: dict[str, tuple[Hand, dict[str, float]]] = {
    "a figure": (hset(RIM, on_hand="99"), {"changed": 1}),
    "a figure under a version of the future": (hset(RIM, on_hand="99", v=NEWER), {"changed": 1}),
    "a version of the future": (hset(RIM, v=NEWER), {"changed": 1}),
    "an older version": (hset(RIM, v=version(1, 1)), {"changed": 1}),
    "no version": (hset(RIM, v="zzz"), {"changed": 1}),
    "a field taken away": (lambda s: s.redis.hdel(s.key(RIM), "available"), {"changed": 1}),
    "the version taken away": (lambda s: s.redis.hdel(s.key(RIM), "v"), {"changed": 1}),
    "a field more": (hset(RIM, note="by hand"), {"changed": 1}),
    "a time": (hset(RIM, changed="2001-01-01T00:00:00.000Z"), {"changed": 1}),
    "deleted": (hset(RIM, deleted="1"), {"changed": 1}),
    "an expiry": (lambda s: s.redis.expire(s.key(RIM), 5000), {"expiring": 1}),
    "another type": (retype(RIM), {"changed": 1}),
    "a key deleted": (delete(RIM), {"missing": 1}),
    "an item deleted": (delete("{A}"), {"missing": 1}),
    "a detail deleted": (delete("{A}:W1:location=x"), {"missing": 1}),
    "a score": (lambda s: s.redis.zadd(s.key("negative"), {s.key(RIM): -1}), {"negative": 1}),
    "a member taken away": (lambda s: s.redis.zrem(s.key("negative"), s.key(RIM)), {"negative": 1}),
    "a member more": (lambda s: s.redis.zadd(s.key("negative"), {s.key("{B}:W1"): -1}), {"negative": 1}),
    "a member of nobody": (lambda s: s.redis.zadd(s.key("negative"), {s.key("{X}:W1"): -1, "x": 1}), {"negative": 2}),
    "negative deleted": (delete("negative"), {"negative": 1}),
    "negative of another type": (retype("negative"), {"negative": 2}),
    "an alert deleted": (lambda s: s.redis.hdel(s.key("alerts"), alert_id(s)), {"alert": 1}),
    "an alert changed": (other_alert, {"alert": 1}),
    "an alert that is none": (lambda s: s.redis.hset(s.key("alerts"), alert_id(s), "x"), {"alert": 1}),
    "an alert more": (hset("alerts", other="{}"), {"alert": 1}),
    "alerts of another type": (retype("alerts"), {"alert": 2}),
    "a field of meta": (hset("meta", as_of="2031-01-01T00:00:00.000Z", digest="x"), {"meta": 1}),
    "a state": (hset("meta", state="snapshot"), {"meta": 1}),
    "a field more in meta": (hset("meta", note="x"), {"meta": 1}),
}


@pytest.mark.parametrize(("hand", "found"), HANDS.values(), ids=HANDS.keys())
def test_what_a_foreign_hand_changed_is_as_it_was_after_one_pass(
    site: Site, hand: Hand, found: dict[str, float]
) -> None:
    site.look()
    before = site.everything()
    assert site.found() == {}
    hand(site)
    assert site.everything() != before
    site.look()
    assert site.everything() == before
    assert site.found() == found
    site.look()
    assert site.found() == found, "what was right was mended once more"


@pytest.mark.parametrize("name", ["{GHOST}:W1", "{GHOST}", "{A}:W7"])
@pytest.mark.parametrize("v", [None, "x", version(1, 1), NEWER, "the cut's"])
def test_a_key_that_no_level_has_says_that_it_is_gone(site: Site, name: str, v: str | None) -> None:
    fields = {"on_hand": "3"} | ({"v": v} if v else {})
    if v == "the cut's":
        site.book(quant(3, 2, 1, 2))
        fields["v"] = site.v()
    site.redis.hset(site.key(name), mapping=fields)
    site.redis.zadd(site.key("negative"), {site.key(name): -4})
    site.look(2)
    held = site.redis.hgetall(site.key(name))
    assert (held["on_hand"], held["deleted"], held["v"]) == ("0", "1", site.v())
    assert 0 < site.redis.ttl(site.key(name)) <= GONE_SECONDS
    assert site.redis.zscore(site.key("negative"), site.key(name)) is None
    assert site.found() == {"ghost": 1, "negative": 1}


def test_what_is_of_somebody_else_is_left_alone(site: Site) -> None:
    for name in (f"{site.prefix}x:{{A}}:W1", f"{site.prefix}:other", "x"):
        site.redis.set(name, "theirs")
    site.look(2)
    assert site.redis.get(f"{site.prefix}x:{{A}}:W1") == site.redis.get("x") == "theirs"
    assert site.found() == {}
    site.redis.delete(f"{site.prefix}x:{{A}}:W1", "x")


def test_nothing_is_found_while_levels_come_change_and_go(redis_server: Server) -> None:
    site = Site(redis_server.url, rate=7)
    site.book(place(1, "x", "W1"), place(2, "y", "W2"), *(item(n, f"I{n}") for n in range(1, 40)))
    for n in range(1, 120):
        site.book(
            quant(n, n % 39 + 1, n % 2 + 1, n, n * 2 if n % 3 else None),
            *([quant(n - 9, 1, 1, 5, 7)] if n > 9 else []),
            item(n % 39 + 1, f"I{n}-{n % 5}"),
        )
        site.look()
    site.look(200)
    assert site.found() == {}
    assert telemetry.SCRUBBED.labels(site.prefix)._value.get() > 1000
    site.close()


def test_a_pass_is_told_when_it_is_through(site: Site) -> None:
    site.look()
    done = site.redis.hgetall(site.key("scrub"))
    assert done == {"finished": "1970-01-01T00:00:10.000Z", "keys": "6", "mended": "0", "last": ""}
    site.redis.delete(site.key(RIM))
    site.look()
    assert site.redis.hgetall(site.key("scrub"))["mended"] == "1"
    assert site.redis.hgetall(site.key("scrub"))["last"] == "1970-01-01T00:00:10.000Z"


def test_few_keys_at_a_time_come_round(redis_server: Server) -> None:
    site = Site(redis_server.url, rate=2)
    site.book(place(1, "x", "W1"), *(item(n, f"I{n}") for n in range(30)), *(quant(n, n, 1, n) for n in range(30)))
    before = site.everything()
    site.redis.delete(*(site.key(f"{{I{n}}}:W1") for n in range(30)))
    site.look()
    assert len(site.everything()) < len(before)
    site.look(50)
    assert site.everything() == before
    site.close()


def test_suspects_come_first(redis_server: Server) -> None:
    site = Site(redis_server.url, rate=2)
    site.book(place(1, "x", "W1"), *(item(n, f"I{n}") for n in range(30)), *(quant(n, n, 1, n) for n in range(30)))
    before = site.everything()
    last, ghost = site.key("{I29}:W1"), site.key("{GHOST}")
    site.redis.delete(last)
    site.redis.hset(ghost, "on_hand", "5")
    site.redis.sadd(site.key("suspects"), last, ghost)
    site.look()
    assert site.redis.hget(ghost, "deleted") == "1"
    assert site.everything().keys() - {ghost} == before.keys()
    site.close()


def test_a_level_that_a_version_of_the_future_holds_up_is_written_after_the_next_look(redis_server: Server) -> None:
    site = Site(redis_server.url, rate=1)
    site.book(place(1, "x", "W1"), *(item(n, f"I{n}") for n in range(30)), *(quant(n, n, 1, n) for n in range(30)))
    key = site.key("{I29}:W1")
    site.redis.hset(key, mapping={"v": NEWER, "on_hand": "7"})
    site.book(quant(29, 29, 1, 50))
    assert site.redis.hget(key, "on_hand") == "7"
    site.look()
    assert (site.redis.hget(key, "on_hand"), site.redis.hget(key, "v")) == ("50.00", site.v())
    site.close()


@pytest.mark.parametrize(
    "hand", [delete("meta"), retype("meta"), hset("meta", v=""), hset("meta", v=NEWER), hset("meta", v="zzz")],
    ids=["deleted", "of another type", "no version", "a version of the future", "garbage"],
)  # fmt: skip
def test_a_whole_that_is_not_ours_is_projected_anew_though_nothing_is_booked(site: Site, hand: Hand) -> None:
    before = site.everything()
    hand(site)
    site.redis.delete(site.key(RIM))
    site.look()
    assert site.everything() == before


def test_everything_is_projected_anew_when_redis_is_emptied_though_nothing_is_booked(site: Site) -> None:
    before = site.everything()
    site.redis.delete(*site.redis.keys(f"{site.prefix}:*"))
    site.look()
    assert site.everything() == before


def test_a_newer_cut_of_another_worker_ends_this_one(site: Site) -> None:
    site.redis.hset(site.key("meta"), mapping={"v": version(EPOCH, 10**6), "offset": str(10**6)})
    with pytest.raises(RefusedError, match="newer cut"):
        site.look()


def test_a_cut_that_another_worker_is_writing_is_waited_for_but_not_for_ever(site: Site) -> None:
    before = site.everything()
    site.redis.hset(site.key("meta"), "state", "applying")
    site.redis.delete(site.key(RIM))
    site.look(BUSY_LOOKS)
    assert site.redis.hgetall(site.key(RIM)) == {}
    site.look()
    assert site.everything() == before


def test_nothing_is_looked_at_before_the_first_projection(redis_server: Server) -> None:
    site = Site(redis_server.url)
    site.look()
    assert site.redis.keys(f"{site.prefix}:*") == []
    site.close()


def test_what_an_earlier_worker_knew_better_is_left_alone(site: Site) -> None:
    """Its tombstones may have left the log: it saw a later change than a replay can, of the same figures."""
    later = {"v": site.v(), "changed": "1970-01-01T00:00:07.000Z"}
    site.redis.hset(site.key(RIM), mapping=later)
    held = site.redis.hgetall(site.key(RIM))
    site.look()
    assert site.redis.hgetall(site.key(RIM)) == held
    assert site.found() == {}
    site.redis.hset(site.key(RIM), "on_hand", "77")
    site.look()
    assert site.redis.hget(site.key(RIM), "on_hand") == held["on_hand"]
    assert site.redis.hget(site.key(RIM), "v") == held["v"], "a version went back"


def test_redis_set_to_evict_is_said(redis_server: Server, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.look()
    assert telemetry.REDIS_MAY_EVICT.labels(site.prefix)._value.get() == 0
    site.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        site.look(2)
        assert telemetry.REDIS_MAY_EVICT.labels(site.prefix)._value.get() == 1
        assert capsys.readouterr().out.count("may evict") == 1
    finally:
        site.redis.config_set("maxmemory-policy", "noeviction")
    site.look()
    assert telemetry.REDIS_MAY_EVICT.labels(site.prefix)._value.get() == 0
