"""The versioned projection and its reader on a real Redis."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
import redis

from infra.stack import Stack
from infra.stack.redis import Redis as Server
from pipeline.adapters.redis import ATOMIC, CHUNK, GONE_SECONDS, Cut, Fenced, Gap, Projection, version
from pipeline.adapters.served import Reader, check_server
from pipeline.domain.alerts import Alert
from pipeline.domain.documents import Document, Level
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.domain.names import encode, item_key, level_key

EPOCH = 1_795_387_656
AS_OF = "2026-11-22T22:47:37.661Z"
CHANGED = "1970-01-01T00:00:05.000Z"
_numbers = count(1)


class Site:
    """One prefix: what is written goes through the projection, what is read is read as any app would."""

    def __init__(self, url: str) -> None:
        self.prefix, self.retries = f"stock{next(_numbers)}", 0
        self.when_retrying: Callable[[], Any] = lambda: None
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.reader = Reader(url, self.prefix)
        self.projection = Projection(url, self.prefix, EPOCH, None, self._retried)
        self._runner = asyncio.Runner()
        self.run(self.projection.start())

    def _retried(self) -> None:
        self.retries += 1
        self.when_retrying()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def close(self) -> None:
        self.run(self.projection.close())
        self._runner.close()
        self.redis.close()
        self.reader._redis.close()

    def publish(self, *cuts: Cut) -> None:
        self.run(self.projection.publish(list(cuts)))

    def cut(self, offset: int, prev: int | None, *documents: Document, alerts: tuple[Alert, ...] = ()) -> Cut:
        v = version(EPOCH, offset)
        meta = self.meta(offset)
        return Cut(v, None if prev is None else version(EPOCH, prev), list(documents), meta, list(alerts))

    def meta(self, offset: int) -> dict[str, str]:
        about = {"state": "live", "epoch": str(EPOCH), "offset": str(offset)}
        return about | {"position": "0/10", "as_of": AS_OF, "v": version(EPOCH, offset)}

    def key(self, item: str, warehouse: str = "W1") -> str:
        return f"{self.prefix}:{{{item}}}:{warehouse}"

    def level(self, item: str, offset: int, on_hand: int, reserved: int = 0, **more: str) -> Document:
        level = Level((item, "W1"), on_hand=on_hand, usable=on_hand, reserved=reserved)
        fields = ["on_hand", str(on_hand), "available", str(on_hand - reserved)]
        document = Document(self.key(item), offset, 5000, fields + [x for pair in more.items() for x in pair], level)
        document.negative = str(on_hand - reserved) if reserved > on_hand else ""
        document.recovered = not document.negative
        return document

    def gone(self, item: str, offset: int) -> Document:
        return Document(self.key(item), offset, 5000, [], Level((item, "W1")), recovered=True)

    def held(self, item: str) -> dict[str, str]:
        return self.redis.hgetall(self.key(item))

    def meta_v(self) -> str | None:
        return self.redis.hget(f"{self.prefix}:meta", "v")

    def feed(self) -> list[tuple[str, str]]:
        """Key and on_hand of each entry of the changes stream."""
        return [(fields["key"], fields["on_hand"]) for _, fields in self.redis.xrange(f"{self.prefix}:changes")]


@pytest.fixture
def site(redis_server: Server) -> Iterator[Site]:
    site = Site(redis_server.url)
    yield site
    site.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server of the test's own, to be set up wrongly."""
    with Stack(parts=()) as stack:
        stack.start("redis")
        yield stack.redis


def alert(item: str, state: str = "open") -> Alert:
    ident, facts = f"negative_available/{item}/W1/1.7", {"item": item, "warehouse": "W1", "available": "-1"}
    return Alert(ident, "negative_available", state, "warning", "planning", AS_OF, "0/10", facts=facts)


def test_a_cut_is_served_as_it_was_written(site: Site) -> None:
    site.publish(site.cut(7, None, site.level("RIM", 6, 10, 3)))
    assert site.held("RIM") == {"v": version(EPOCH, 6), "on_hand": "10", "available": "7", "changed": CHANGED}
    assert site.run(site.projection.meta()) == site.meta(7)
    assert site.reader.documents() == {site.key("RIM"): site.held("RIM")}


def test_a_document_newer_than_the_cut_is_left_alone_and_named(site: Site) -> None:
    site.publish(site.cut(7, None, site.level("I0", 7, 9)))
    site.redis.hset(site.key("I0"), mapping={"on_hand": "10", "v": version(EPOCH, 9)})
    site.publish(site.cut(8, 7, site.level("I0", 8, 99)))
    assert site.held("I0")["on_hand"] == "10"
    assert site.projection.refused == {site.key("I0")}


def test_a_document_of_the_cut_is_written_over_what_is_older_than_the_cut_and_no_version_goes_back(site: Site) -> None:
    site.publish(site.cut(7, None, site.level("RIM", 7, 10)))
    site.redis.hset(site.key("RIM"), mapping={"on_hand": "11", "by_hand": "x"})
    site.publish(site.cut(9, 7, site.level("RIM", 6, 10)))
    assert site.held("RIM") == {"v": version(EPOCH, 7), "on_hand": "10", "available": "10", "changed": CHANGED}


@pytest.mark.parametrize("v", ["", "0", "no version", "9" * 27, f"{'9' * 10}.{'9' * 15}x"])
def test_what_is_no_version_does_not_hold_up_a_document(site: Site, v: str) -> None:
    site.publish(site.cut(7, None, site.level("RIM", 7, 10)))
    site.redis.hset(site.key("RIM"), "v", v)
    site.publish(site.cut(8, 7, site.level("RIM", 8, 11)))
    assert (site.held("RIM")["v"], site.held("RIM")["on_hand"]) == (version(EPOCH, 8), "11")


def test_fields_that_end_vanish(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10, **{"on_hand:scrap": "1", "w:W9": "2"})))
    site.publish(site.cut(2, 1, site.level("RIM", 2, 10, **{"w:W9": "2"})))
    assert "on_hand:scrap" not in site.held("RIM")
    assert site.held("RIM")["w:W9"] == "2"


def test_a_deleted_level_stays_as_zeros_for_a_while_and_comes_back(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    site.publish(site.cut(2, 1, site.gone("RIM", 2)))
    assert site.held("RIM") == {"v": version(EPOCH, 2), "on_hand": "0", "deleted": "1", "changed": CHANGED}
    assert GONE_SECONDS - 60 < site.redis.ttl(site.key("RIM")) <= GONE_SECONDS
    assert site.reader.documents() == {}
    with pytest.raises(Fenced):
        site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    assert "deleted" in site.held("RIM"), "an older cut brought it back"
    site.publish(site.cut(4, 2, site.level("RIM", 4, 5)))
    assert site.held("RIM") == {"v": version(EPOCH, 4), "on_hand": "5", "available": "5", "changed": CHANGED}
    assert site.redis.ttl(site.key("RIM")) == -1


def test_an_emptied_redis_is_a_gap(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    site.redis.delete(*site.redis.keys(f"{site.prefix}:*"))
    with pytest.raises(Gap):
        site.publish(site.cut(2, 1, site.level("RIM", 2, 9)), site.cut(3, 2, site.level("RIM", 3, 8)))
    assert site.reader.meta() == {"state": "rebuilding"}
    assert site.reader.documents() == {}


def test_a_redis_put_back_to_an_older_state_is_a_gap(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    backup = {name: site.redis.hgetall(name) for name in (site.key("RIM"), f"{site.prefix}:meta")}
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    for name, fields in backup.items():
        site.redis.hset(name, mapping=fields)
    with pytest.raises(Gap):
        site.publish(site.cut(3, 2, site.level("RIM", 3, 8)))
    assert site.held("RIM")["on_hand"] == "10"
    assert site.reader.meta()["state"] == "rebuilding", "readers must see it before it is mended"


@pytest.mark.parametrize("v", ["", "zzz", version(EPOCH, 3), version(EPOCH + 1, 1), version(EPOCH + 10**9, 10**15)])
def test_a_version_of_the_whole_that_no_worker_wrote_is_a_gap_and_written_over(site: Site, v: str) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    site.redis.hset(f"{site.prefix}:meta", "v", v)
    with pytest.raises(Gap):
        site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    site.run(site.projection.rebuild(site.cut(2, None), [site.level("RIM", 2, 9)], []))
    assert site.reader.meta() == site.meta(2)
    assert site.held("RIM")["on_hand"] == "9"


def test_a_newer_cut_fences_an_older_writer(site: Site) -> None:
    site.publish(site.cut(5, None, site.level("RIM", 5, 10)))
    with pytest.raises(Fenced):
        site.publish(site.cut(4, 3, site.level("NEW", 4, 1)))
    with pytest.raises(Fenced):
        site.publish(site.cut(4, None, site.level("NEW", 4, 1)))
    assert site.held("NEW") == {}
    assert site.meta_v() == version(EPOCH, 5)


def test_cuts_sent_again_because_the_reply_was_lost_are_fine_and_told_once(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    cuts = site.cut(2, 1, site.level("RIM", 2, 9)), site.cut(3, 2, site.level("RIM", 3, 8))
    for _ in range(3):
        site.publish(*cuts)
    assert site.feed() == [(site.key("RIM"), "9"), (site.key("RIM"), "8")]
    assert site.held("RIM")["on_hand"] == "8"
    assert site.meta_v() == version(EPOCH, 3)


def test_the_feed_tells_levels_and_neither_items_nor_what_was_rebuilt(site: Site) -> None:
    item = Document(f"{site.prefix}:{{RIM}}", 2, 5000, ["on_hand", "9"], Level(("RIM",)))
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    assert site.feed() == []
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9), item))
    assert site.feed() == [(site.key("RIM"), "9")]


@pytest.mark.parametrize(("documents", "calls"), [(ATOMIC, 1), (ATOMIC + 1, -(-(ATOMIC + 1) // CHUNK))])
def test_up_to_a_thousand_documents_are_one_call(site: Site, documents: int, calls: int) -> None:
    site.publish(site.cut(1, None))
    site.redis.config_resetstat()
    site.publish(site.cut(2, 1, *(site.level(f"I{n}", 2, n) for n in range(documents))))
    assert site.redis.info("commandstats")["cmdstat_fcall"]["calls"] == calls
    assert len(site.reader.documents()) == documents


def test_more_documents_go_in_chunks_that_say_so_until_the_last(site: Site) -> None:
    site.publish(site.cut(1, None))
    cut = site.cut(2, 1, *(site.level(f"I{n}", 2, n) for n in range(ATOMIC + CHUNK + 1)), alerts=(alert("I1"),))
    seen = []
    for call in site.projection._calls(cut):
        assert site.run(site.projection._send([call]))[0][0] == b"ok"
        meta = site.reader.meta()
        seen.append((meta["state"], meta["v"], len(site.reader.documents()), len(site.reader.alerts())))
    assert seen == [
        ("applying", version(EPOCH, 1), 500, 0),
        ("applying", version(EPOCH, 1), 1000, 0),
        ("applying", version(EPOCH, 1), 1500, 0),
        ("live", version(EPOCH, 2), 1501, 1),
    ]


def test_chunks_that_redis_lost_meanwhile_are_a_gap(site: Site) -> None:
    site.publish(site.cut(1, None))
    cut = site.cut(2, 1, *(site.level(f"I{n}", 2, n) for n in range(ATOMIC + CHUNK + 1)))
    calls = list(site.projection._calls(cut))
    site.run(site.projection._write(calls[:1]))
    before = site.redis.dump(f"{site.prefix}:meta")
    site.run(site.projection._write(calls[1:3]))
    site.redis.restore(f"{site.prefix}:meta", 0, before, replace=True)
    with pytest.raises(Gap):
        site.run(site.projection._write(calls[3:]))
    assert site.reader.meta()["state"] == "rebuilding"


def test_chunks_that_are_sent_again_because_a_reply_was_lost_are_fine(site: Site) -> None:
    site.publish(site.cut(1, None))
    cut = site.cut(2, 1, *(site.level(f"I{n}", 2, n) for n in range(ATOMIC + CHUNK + 1)))
    calls = list(site.projection._calls(cut))
    for some in (calls[:3], calls[1:3], calls[1:], calls, calls[3:]):
        site.run(site.projection._write(some))
    assert site.reader.meta() == site.meta(2)
    assert len(site.reader.documents()) == ATOMIC + CHUNK + 1


@pytest.mark.parametrize("prev", [7, None])
def test_who_slept_does_not_end_what_another_began_since(site: Site, prev: int | None) -> None:
    """Else its older cut would be shown whole, with documents of the newer one among its own."""
    site.publish(site.cut(7, None))
    documents = [site.level(f"I{n}", 8, 1) for n in range(ATOMIC + 1)]
    older, newer = site.cut(8, prev, *documents), site.cut(9, prev, *documents)
    slept, begun = list(site.projection._calls(older)), list(site.projection._calls(newer))
    site.run(site.projection._write(slept[:1]))
    if prev is not None:
        with pytest.raises(Gap):
            site.run(site.projection._write(begun))
        begun = list(site.projection._calls(site.cut(9, None, *documents)))
    site.run(site.projection._write(begun[:2]))
    for rest in (slept[1:], slept):
        with pytest.raises(Fenced):
            site.run(site.projection._write(rest))
    site.run(site.projection._write(begun[2:]))
    assert site.reader.meta() == site.meta(9)


def test_a_newer_cut_is_not_begun_by_the_chunks_of_an_older_one(site: Site) -> None:
    site.publish(site.cut(7, None))
    documents = [site.level(f"I{n}", 8, 1) for n in range(ATOMIC + 1)]
    older, newer = (list(site.projection._calls(site.cut(n, 7, *documents))) for n in (8, 9))
    site.run(site.projection._write(older[:2]))
    with pytest.raises(Gap):
        site.run(site.projection._write(newer[1:]))


def test_parts_of_one_cut_are_of_one_go(site: Site) -> None:
    """Redis put back to a part of an earlier go may hold what that one had yet to end; of two writers one must end."""
    site.publish(site.cut(7, None))
    documents = [site.level(f"I{n}", 8, 1) for n in range(ATOMIC + 1)]
    gos = []
    for _ in range(2):
        site.projection._begin()
        gos.append(list(site.projection._calls(site.cut(8, None, *documents))))
    earlier, later = gos
    site.run(site.projection._write([*later[:2], *earlier[:2]]))
    with pytest.raises(Gap):
        site.run(site.projection._write(later[2:]))
    assert site.reader.meta()["state"] == "rebuilding"
    site.run(site.projection._write(later[:2]))
    with pytest.raises(Fenced):
        site.run(site.projection._write(earlier[2:]))
    site.run(site.projection._write(later[2:]))
    assert site.reader.meta() == site.meta(8)


def test_a_cut_does_not_end_a_rebuild_that_another_worker_began(site: Site) -> None:
    """It would be shown whole, without the negative levels and alerts that the rebuild had yet to write."""
    site.publish(site.cut(7, None))
    rebuild = list(site.projection._calls(site.cut(7, None, *(site.level(f"I{n}", 7, 1) for n in range(ATOMIC + 1)))))
    site.run(site.projection._write(rebuild[:1]))
    site.projection._begin()
    with pytest.raises(Gap):
        site.publish(site.cut(8, 7, site.level("A", 8, 1)))
    assert site.reader.meta()["state"] == "rebuilding"


def test_a_rebuild_of_which_redis_loses_a_part_is_a_gap(site: Site) -> None:
    def documents() -> Iterator[Document]:
        for n in range(3 * CHUNK):
            if n == 2 * CHUNK:
                site.redis.delete(*site.redis.keys(f"{site.prefix}:*"))
            yield site.level(f"I{n}", 3, n)

    with pytest.raises(Gap):
        site.run(site.projection.rebuild(site.cut(9, None), documents(), []))
    assert site.reader.meta() == {"state": "rebuilding"}


def test_a_rebuild_is_declared_before_anything_is_taken_away(site: Site) -> None:
    def documents() -> Iterator[Document]:
        seen.append(site.reader.meta()["state"])
        yield site.level("RIM", 9, 4)

    seen: list[str] = []
    site.publish(site.cut(1, None, site.level("RIM", 1, 1, 4), alerts=(alert("RIM"),)))
    site.run(site.projection.rebuild(site.cut(9, None), documents(), []))
    assert seen == ["rebuilding"]


def test_offsets_beyond_a_double_are_told_apart(site: Site) -> None:
    big = 2**53
    site.publish(site.cut(big, None, site.level("RIM", big, 1)))
    site.publish(site.cut(big + 1, big, site.level("RIM", big + 1, 2)))
    assert site.held("RIM")["on_hand"] == "2"
    with pytest.raises(Fenced):
        site.publish(site.cut(big, big - 1, site.level("RIM", big, 1)))
    assert site.meta_v() == version(EPOCH, big + 1)


def test_a_newer_epoch_counts_more_than_any_offset() -> None:
    assert version(EPOCH + 1, 0) > version(EPOCH, 10**15)


def test_a_rebuild_ends_what_is_not_of_it(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("GHOST", 1, 5, 9), site.level("RIM", 1, 5), alerts=(alert("GHOST"),)))
    site.redis.hset(site.key("FOREIGN"), "on_hand", "3")
    site.redis.hset("foreign", "on_hand", "3")
    cut = site.cut(9, None)
    documents = [site.level("RIM", 2, 4, 6), *(site.level(f"I{n}", 3, n) for n in range(CHUNK))]
    assert site.run(site.projection.rebuild(cut, documents, [alert("RIM")])) == CHUNK + 1
    assert set(site.reader.documents()) == {d.key for d in documents}
    assert site.held("GHOST")["deleted"] == site.held("FOREIGN")["deleted"] == "1"
    assert site.redis.ttl(site.key("FOREIGN")) > 0
    assert site.redis.hget("foreign", "on_hand") == "3"
    assert site.redis.zrange(f"{site.prefix}:negative", 0, -1, withscores=True) == [(site.key("RIM"), -2.0)]
    assert [a["id"] for a in site.reader.alerts()] == [alert("RIM").id]
    assert site.reader.meta() == site.meta(9)
    assert site.feed() == []


def test_a_rebuild_goes_on_where_it_was_cut_off_and_a_newer_cut_stops_it(site: Site) -> None:
    documents = [site.level("RIM", 2, 4)]
    for _ in range(2):
        site.run(site.projection.rebuild(site.cut(9, None), documents, []))
    site.publish(site.cut(10, 9, site.level("RIM", 10, 5)))
    with pytest.raises(Fenced):
        site.run(site.projection.rebuild(site.cut(9, None), documents, []))
    assert site.held("RIM")["on_hand"] == "5"


def test_negative_levels_and_alerts_follow(site: Site) -> None:
    def negative() -> list[tuple[str, float]]:
        return site.redis.zrange(f"{site.prefix}:negative", 0, -1, withscores=True)

    site.publish(site.cut(1, None, site.level("RIM", 1, 1, 4), alerts=(alert("RIM"),)))
    assert negative() == [(site.key("RIM"), -3.0)]
    assert site.reader.alerts() == [alert("RIM").to_dict()]
    site.publish(site.cut(2, 1, site.level("RIM", 2, 1, 3)))
    assert negative() == [(site.key("RIM"), -2.0)]
    site.publish(site.cut(3, 2, site.level("RIM", 3, 3, 3), alerts=(alert("RIM", "resolved"),)))
    assert negative() == site.reader.alerts() == []
    site.publish(site.cut(4, 3, site.level("RIM", 4, 3, 5)), site.cut(5, 4, site.gone("RIM", 5)))
    assert negative() == []


def test_a_redis_that_lost_its_functions_is_served_again(site: Site) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    site.redis.function_flush()
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    assert site.held("RIM")["on_hand"] == "9"
    assert site.retries == 1


def test_a_full_redis_is_waited_for(own_server: Server) -> None:
    site = Site(own_server.url)
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    site.redis.config_set("maxmemory", 1)
    site.when_retrying = lambda: site.redis.config_set("maxmemory", 0)
    site.publish(site.cut(2, 1, site.level("RIM", 2, 9)))
    assert site.held("RIM")["on_hand"] == "9"
    assert site.retries == 1
    site.close()


def test_what_redis_refuses_for_good_is_raised_without_the_values(site: Site) -> None:
    keys, _ = site.projection._call(site.cut(1, None), [], {}, [])
    with pytest.raises(RefusedError, match="Redis refuses") as refused:
        site.run(site.projection._redis.ask([("FCALL", "onhand_publish", len(keys), *keys, b"4711")], len))
    assert "4711" not in str(refused.value)
    assert site.retries == 0


NAMES = ("meta", "negative", "alerts", "changes")


@pytest.mark.parametrize("name", [*NAMES, "{RIM}:W1"])
@pytest.mark.parametrize("write", ["SET {} x", "RPUSH {} x", "SADD {} x"])
def test_a_value_of_another_type_under_a_key_of_ours_gives_way(site: Site, name: str, write: str) -> None:
    site.publish(site.cut(1, None, site.level("RIM", 1, 10)))
    key = f"{site.prefix}:{name}"
    site.redis.delete(key)
    site.redis.execute_command(*write.format(key).split())
    cut = site.cut(2, 1, site.level("RIM", 2, 1, 4), alerts=(alert("RIM"),))
    if name == "meta":
        assert site.run(site.projection.meta()) == {}
        with pytest.raises(Gap):
            site.publish(cut)
        site.run(site.projection.rebuild(site.cut(2, None), [site.level("RIM", 2, 1, 4)], [alert("RIM")]))
    else:
        site.publish(cut)
        assert site.feed() == [(site.key("RIM"), "1")]
    assert site.held("RIM")["on_hand"] == "1"
    assert site.reader.alerts() == [alert("RIM").to_dict()]
    assert site.redis.zrange(f"{site.prefix}:negative", 0, -1) == [site.key("RIM")]
    assert site.reader.meta() == site.meta(2)


def test_a_rebuild_ends_ghosts_of_any_type(site: Site) -> None:
    site.redis.set(site.key("TEXT"), "x")
    site.redis.rpush(site.key("LIST"), "x")
    site.run(site.projection.rebuild(site.cut(9, None), [site.level("RIM", 2, 4)], []))
    assert site.held("TEXT")["deleted"] == site.held("LIST")["deleted"] == "1"


@pytest.mark.parametrize("code", ["A*", "A?", "A[1]", "A]", "A[^1]", "A\\", "A\\*", "[", "*", "A b:{c}"])
def test_an_item_is_found_whatever_its_code_and_no_other_with_it(site: Site, code: str) -> None:
    mine = [item_key(site.prefix, encode(code)), level_key(site.prefix, encode(code), "W*")]
    for name in [*mine, *(item_key(site.prefix, other) for other in ("AB", "A1", "A", "ABC", "b"))]:
        site.redis.hset(name, "on_hand", "1")
    assert list(site.reader.item(code)) == sorted(mine)


def test_an_alert_that_ended_and_opened_again_in_one_cut_is_open(site: Site) -> None:
    site.publish(site.cut(1, None, alerts=(alert("RIM"),)))
    site.publish(site.cut(2, 1, alerts=(alert("RIM", "resolved"), alert("RIM"))))
    assert site.reader.alerts() == [alert("RIM").to_dict()]
    site.publish(site.cut(3, 2, alerts=(alert("RIM"), alert("RIM", "resolved"))))
    assert site.reader.alerts() == []


def test_alerts_are_read_oldest_first(site: Site) -> None:
    for id_, since in (("b", "2"), ("a", "2"), ("c", "1")):
        held = msgspec.json.encode({"id": id_, "since": since})
        site.redis.hset(f"{site.prefix}:alerts", id_, held)
    assert [a["id"] for a in site.reader.alerts()] == ["c", "a", "b"]


def test_a_server_that_evicts_is_refused_with_the_fix(own_server: Server) -> None:
    check_server(own_server.url)
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(RefusedError, match="allkeys-lru") as refused:
            check_server(own_server.url)
        assert "CONFIG SET maxmemory-policy noeviction" in refused.value.fix
        client.config_set("maxmemory-policy", "noeviction")
    check_server(own_server.url)


def test_a_server_that_wants_a_password_or_is_away(own_server: Server) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("requirepass", "not-in-any-message")
    with pytest.raises(RefusedError, match="refuses us") as refused:
        check_server(own_server.url)
    assert "password_file" in refused.value.fix
    with pytest.raises(RefusedError) as refused:
        check_server(own_server.url, "not-the-password")
    assert "not-the-password" not in str(refused.value)
    check_server(own_server.url, "not-in-any-message")
    with pytest.raises(NotReadyError, match="does not answer"):
        check_server("redis://127.0.0.1:1/0")
