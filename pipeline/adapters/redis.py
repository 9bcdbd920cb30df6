"""Redis as a versioned projection of stock: the only module that knows the served keys' fields.

Every write is absolute and goes through one Redis Function that refuses what is older than Redis holds
(`put_if_newer.lua`). What is served, field by field: see README "What apps read".
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import count
from typing import Any

import msgspec

from pipeline.adapters import redis_replies as replies
from pipeline.adapters.look import Look
from pipeline.adapters.patience import PatientRedis, Secret
from pipeline.domain.alerts import Alert
from pipeline.domain.batches import batches
from pipeline.domain.documents import Document
from pipeline.domain.movements import Movement
from pipeline.domain.names import order_key, order_of
from pipeline.domain.times import iso, milliseconds

ATOMIC = 1000
"""Documents that one call writes; a reader sees all of them or none. 5,000 would block Redis for 22 ms."""
CHUNK = 500
PAGE = 2000
FEED = 10_000
"""Entries that each stream keeps, about."""
GONE_SECONDS = 7 * 86400
"""A vanished level stays as zeros this long: deleting it would lose `v`, and with it the guard against older writes."""
_GONE = ["on_hand", "0", "deleted", "1"]
_ORDER_GONE = _GONE[2:]
Call = tuple[list[str], bytes]


@lru_cache(maxsize=4096)  # all levels of a transaction share it
def version(epoch: int, offset: int) -> str:
    """`v`: compared as text by the function, hence fixed width. 16 digits of offset outlast any log."""
    return f"{epoch:010d}.{offset:016d}"


@dataclass(slots=True)
class Cut:
    """One consistent cut of the source, as readers will see it."""

    v: str
    prev: str | None
    documents: list[Document]
    meta: dict[str, str]
    alerts: list[Alert] = field(default_factory=list)
    movements: Sequence[Movement] = ()


class Fenced(Exception):  # noqa: N818  # not an error of ours to report: somebody newer writes, we must stop
    """Redis holds a newer cut than ours: another worker is live for this source."""


class Gap(Exception):  # noqa: N818  # a state to act on, not a failure
    """Redis was emptied or put back to an older state: everything must be projected anew."""


class Projection:
    """The writer of one source's prefix; it waits while Redis is away (see `patience`).

    `on_retry` is told each time it asks again, `on_back` when that helped; `password` may be a function that reads it.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        epoch: int,
        password: Secret,
        on_retry: Callable[[], None],
        *,
        on_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = PatientRedis(url, password, _library(), on_retry, on_back)
        self._prefix, self._epoch = prefix, epoch
        self._heads = [f"{prefix}:{name}" for name in ("meta", "negative", "alerts", "changes")]
        self._pack = msgspec.msgpack.Encoder().encode
        self._begun = ""
        self.refused: set[str] = set()
        """Keys that hold a version newer than what was to be written: by a foreign hand, where nobody else writes."""

    @property
    def why(self) -> str:
        """Why it waits, or waited last."""
        return self._redis.why

    async def start(self) -> None:
        """Load the functions; waits until Redis is there."""
        await self._redis.start()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.close()

    async def meta(self) -> dict[str, str]:
        """`{prefix}:meta` as a worker left it; empty when there is none, or a foreign hand had it."""
        held = await self._redis.ask([("HGETALL", self._heads[0])], lambda said: replies.fields(said[0]))
        return held if replies.is_whole(held, version) else {}

    async def state(self, state: str) -> None:
        """Say what we are doing, without touching what is served."""
        await self._redis.ask([("HSET", self._heads[0], "state", state)], replies.anything)

    async def publish(self, cuts: list[Cut]) -> None:
        """Write cuts in order, each visible as a whole (beyond 1,000 documents: in chunks, `state` = applying).

        Raises Gap and Fenced; everything else waits until Redis is back.
        """
        self._begin()
        await self._write(call for cut in cuts for call in self._calls(cut))

    async def rebuild(self, cut: Cut, documents: Iterable[Document], open_alerts: Iterable[Alert]) -> int:
        """Project everything anew as `cut`, then end whatever else stands under the prefix; how many were written.

        Raises Gap when Redis loses meanwhile what was written, and Fenced.
        """
        self._begin()
        live, at = set[str](), count(1)
        await self._write([self._chunk(cut, [], next(at))])
        for docs in batches(documents, CHUNK):
            live.update(d.key for d in docs)
            await self._write([self._chunk(cut, docs, next(at))])
        for keys in batches(await self._ghosts(live), CHUNK):
            await self._write([self._chunk(cut, [self._ended(key, cut) for key in keys], next(at))])
        await self._write([self._call(cut, [], cut.meta, list(open_alerts), next(at), last=True)])
        return len(live)

    # -- is it still there?

    async def mend(self, look: Look) -> list[tuple[str, str]] | None:
        """Put right what differs from `look`, at once; its kinds and keys. None: meta says that somebody is writing.

        Raises Gap and Fenced.
        """
        keys = [*self._heads[:3], *(d.key for d in look.documents), *look.strangers]
        call = ("FCALL", "onhand_mend", len(keys), *keys, self._pack(self._question(look)))
        status, found = await self._redis.ask([call], lambda said: replies.mended(said[0]))
        _raise_for(status)
        return None if status == b"busy" else found

    async def names(self, cursor: int) -> tuple[int, list[str]]:
        """A page of names of levels and orders, from a cursor, 0 = the first; the cursor of the next, 0 = no more."""
        scan = ("SCAN", cursor, "MATCH", f"{self._prefix}:[{{o]*", "COUNT", PAGE)
        cursor, found = await self._redis.ask([scan], lambda said: replies.page(said[0]))
        ours = f"{self._prefix}:{{", order_key(self._prefix, "")
        return cursor, [name for name in found if name.startswith(ours)]

    async def members(self, cursor: int) -> tuple[int, list[str]]:
        """The same for what is below zero: member, score, member, score."""
        return await self._redis.ask(
            [("ZSCAN", self._heads[1], cursor, "COUNT", PAGE)], lambda said: replies.page(said[0])
        )

    async def alerts(self) -> dict[str, str]:
        """The open alerts as Redis holds them: id to JSON."""
        return await self._redis.ask([("HGETALL", self._heads[2])], lambda said: replies.fields(said[0]))

    async def suspects(self, most: int) -> set[str]:
        """Keys to look at before all others: those that were refused, and those that `verify` found wrong."""
        refused, self.refused = self.refused, set()
        pop = ("SPOP", f"{self._prefix}:suspects", most)
        return refused.union(await self._redis.ask([pop], lambda said: replies.members(said[0])))

    async def scrubbed(self, found: Mapping[str, str]) -> None:
        """Leave word of what was compared in `{prefix}:scrub`."""
        key = f"{self._prefix}:scrub"
        await self._redis.ask([("HSET", key, *(x for pair in found.items() for x in pair))], replies.anything)

    async def policy(self) -> str:
        """What Redis does when its memory is full; "" when it does not say."""
        return await self._redis.try_once(("INFO", "memory"), replies.policy) or ""

    def _question(self, look: Look) -> dict[str, Any]:
        flat: list[bool | int | str] = []
        for d in look.documents:
            negative = d.negative if d.level is not None and len(d.level.idents) == 2 else False
            flat += (negative, *self._document(d, feed=False)[2:])
        return {
            "v": look.meta["v"],
            "meta": [x for pair in look.meta.items() for x in pair],
            "docs": flat,
            "inherited": look.inherited,
            "strangers": len(look.strangers),
            "since": look.since,
            "zeros": ["v", look.meta["v"], *(_ORDER_GONE if look.orders else _GONE), "changed", look.meta["as_of"]],
            "ttl": GONE_SECONDS,
            "members": look.members,
            "alerts": [x for alert in look.alerts for x in alert],
        }

    # -- one call

    def _begin(self) -> None:
        """What several calls write is of one writer and one go: Redis may be put back to a part of an earlier one's."""
        self._begun = f"{time.time_ns():019d}"

    def _calls(self, cut: Cut) -> Iterator[Call]:
        if len(cut.documents) > ATOMIC:
            *first, last = batches(cut.documents, CHUNK)
            for at, docs in enumerate(first, 1):
                yield self._call(cut, docs, {"state": "applying"}, [], at)
            yield self._call(cut, last, cut.meta, cut.alerts, len(first) + 1, last=True)
        else:
            yield self._call(cut, cut.documents, cut.meta, cut.alerts, last=True)

    def _chunk(self, cut: Cut, docs: list[Document], at: int) -> Call:
        return self._call(Cut(cut.v, None, [], {}), docs, {"state": "rebuilding"}, [], at)

    def _call(
        self,
        cut: Cut,
        docs: list[Document],
        meta: dict[str, str],
        alerts: list[Alert],
        at: int = 0,
        *,
        last: bool = False,
    ) -> Call:
        feed = cut.prev is not None
        flat: list[bool | int | str] = []
        latest = {a.id: a for a in alerts}.values()  # one may have ended and opened again
        for d in docs:
            flat += self._document(d, feed=feed)
        payload: dict[str, Any] = {
            "v": cut.v,
            "prev": cut.prev,
            "chunk": at,
            "begun": self._begun,
            "last": last,
            "begin": at == 1 and not feed,
            "docs": flat,
            "negative": [x for d in docs if d.negative for x in (d.negative, d.key)],
            "positive": [d.key for d in docs if d.recovered],
            "alerts": [x for a in latest if a.is_open for x in (a.id, alert_json(a))],
            "ended": [a.id for a in latest if not a.is_open],
            "feed": FEED,
            "meta": [x for pair in meta.items() for x in pair],
        }
        keys = [*self._heads, *[d.key for d in docs]]
        if last and cut.movements:
            keys.append(f"{self._prefix}:movements")
            payload["movements"] = [x for m in cut.movements[-FEED:] for x in (len(m.texts), *m.texts)]
        return keys, self._pack(payload)

    def _document(self, d: Document, *, feed: bool) -> tuple[bool | int | str, ...]:
        fed = feed and d.level is not None and len(d.level.idents) == 2
        ttl, fields = (0, d.fields) if d.fields else (GONE_SECONDS, _ORDER_GONE if d.order else _GONE)
        return (fed, ttl, len(fields) + 4, "v", version(self._epoch, d.offset), *fields, "changed", iso(d.time_ms))

    async def _write(self, calls: Iterable[Call]) -> None:
        for some in batches(calls, 16):
            for status, refused in await self._send(some):
                self.refused |= refused
                _raise_for(status)

    async def _send(self, calls: list[Call]) -> list[tuple[bytes, set[str]]]:
        """What became of each call, but for cuts sent once more after a lost reply: of these the last one's counts."""
        commands = [("FCALL", "onhand_publish", len(keys), *keys, payload) for keys, payload in calls]
        told = await self._redis.ask(commands, lambda said: [replies.written(one) for one in said])
        newer_is_ours = told[-1][0] == b"ok"
        return [(b"ok" if status == b"newer" and newer_is_ours else status, refused) for status, refused in told]

    def _ended(self, key: str, cut: Cut) -> Document:
        is_order = order_of(self._prefix, key) is not None
        offset, time_ms = int(cut.v.rpartition(".")[2]), milliseconds(cut.meta["as_of"])
        return Document(key, offset, time_ms, [], recovered=not is_order, order=is_order)

    async def _ghosts(self, live: set[str]) -> list[str]:
        """Keys under the prefix that are not `live` and do not say yet that they are gone."""
        cursor, ghosts = 0, list[str]()
        while True:
            cursor, names = await self.names(cursor)
            others = [("HEXISTS", name, "deleted") for name in dict.fromkeys(names) if name not in live]
            if others:
                said = await self._redis.ask(others, replies.as_they_are)
                ghosts += [str(name) for (_, name, _), gone in zip(others, said, strict=True) if gone != 1]
            if not cursor:
                return ghosts


def _raise_for(status: bytes) -> None:
    if status == b"newer":
        raise Fenced
    if status == b"gap":
        raise Gap


def alert_json(alert: Alert) -> str:
    """An alert as it is served."""
    return msgspec.json.encode(alert.to_dict()).decode()  # text: Redis's msgpack reader knows no binary


def _library() -> str:
    here = resources.files("pipeline.adapters")
    return "\n".join(here.joinpath(name).read_text("utf-8") for name in ("put_if_newer.lua", "mend.lua"))
