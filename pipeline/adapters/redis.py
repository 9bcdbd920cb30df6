"""Redis as a versioned projection of stock: the only module that knows the served keys' fields.

Every write is absolute and goes through one Redis Function that refuses what is older than Redis holds
(`put_if_newer.lua`). What is served, field by field: see README "What apps read".
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec
import redis.asyncio as aredis
import stamina
from redis import exceptions as errors

from pipeline.domain.alerts import Alert
from pipeline.domain.batches import batches
from pipeline.domain.documents import Document
from pipeline.domain.times import iso, milliseconds

ATOMIC = 1000
"""Documents that one call writes; a reader sees all of them or none. 5,000 would block Redis for 22 ms."""
CHUNK = 500
GONE_SECONDS = 7 * 86400
"""A vanished level stays as zeros this long: deleting it would lose `v`, and with it the guard against older writes."""
_GONE = ["on_hand", "0", "deleted", "1"]
_AWAY = (
    errors.ConnectionError,
    errors.TimeoutError,
    errors.BusyLoadingError,
    errors.ReadOnlyError,
    errors.OutOfMemoryError,
    OSError,
)
_FULL = ("MISCONF", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "Function not found")


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


class Fenced(Exception):  # noqa: N818  # not an error of ours to report: somebody newer writes, we must stop
    """Redis holds a newer cut than ours: another worker is live for this source."""


class Gap(Exception):  # noqa: N818  # a state to act on, not a failure
    """Redis was emptied or put back to an older state: everything must be projected anew."""


def _transient(e: Exception) -> bool:
    if isinstance(e, errors.AuthenticationError | errors.AuthorizationError | errors.NoPermissionError):
        return False
    return isinstance(e, _AWAY) or (isinstance(e, errors.ResponseError) and str(e).startswith(_FULL))


class Projection:
    """The writer of one source's prefix. Waits with back-off while Redis is away; `on_retry` is told each time."""

    def __init__(self, url: str, prefix: str, epoch: int, password: str | None, on_retry: Callable[[], None]) -> None:
        self._redis = aredis.Redis.from_url(url, password=password, socket_timeout=10, socket_connect_timeout=5)
        self._prefix, self._epoch, self._on_retry = prefix, epoch, on_retry
        self._heads = [f"{prefix}:{name}" for name in ("meta", "negative", "alerts", "changes")]
        self._pack = msgspec.msgpack.Encoder().encode

    async def meta(self) -> dict[str, str]:
        """`{prefix}:meta` as Redis holds it; empty when it holds none."""
        held = await self._patiently(lambda: self._redis.hgetall(self._heads[0]))
        return {k.decode(): v.decode() for k, v in held.items()}

    async def alerts(self) -> dict[str, Alert]:
        """The open alerts as Redis holds them, by id."""
        held = await self._patiently(lambda: self._redis.hgetall(self._heads[2]))
        return {k.decode(): Alert.from_dict(msgspec.json.decode(v)) for k, v in held.items()}

    async def state(self, state: str) -> None:
        """Say what we are doing, without touching what is served."""
        await self._patiently(lambda: self._redis.hset(self._heads[0], "state", state))

    async def publish(self, cuts: list[Cut]) -> None:
        """Write cuts in order, each visible as a whole (beyond 1,000 documents: in chunks, `state` = applying).

        Raises Gap and Fenced; everything else waits until Redis is back.
        """
        calls = [call for cut in cuts for call in self._calls(cut)]
        status = b"ok"
        for some in batches(calls, 16):
            status = (await self._patiently(lambda some=some: self._send(some)))[-1][0]  # type: ignore[misc]  # bound now
        if status == b"newer":
            raise Fenced
        if status == b"gap":
            raise Gap

    async def rebuild(self, cut: Cut, documents: Iterable[Document], open_alerts: Iterable[Alert]) -> int:
        """Project everything anew as `cut`, then end whatever else stands under the prefix; how many were written."""
        live: set[str] = set()
        negative = await self._patiently(lambda: self._redis.zrange(self._heads[1], 0, -1))
        below, opened = {name.decode() for name in negative}, {a.id: a for a in open_alerts}
        for docs in batches(documents, CHUNK):
            live.update(d.key for d in docs)
            for d in docs:
                d.recovered = d.key in below and not d.negative
            await self.publish([Cut(cut.v, None, docs, {"state": "rebuilding"})])
        ghosts = await self._patiently(lambda: self._others(live))
        for keys in batches(ghosts, CHUNK):
            await self.publish([Cut(cut.v, None, [_ended(key, cut) for key in keys], {"state": "rebuilding"})])
        ended = [replace(a, state="resolved") for a in (await self.alerts()).values() if a.id not in opened]
        await self.publish([Cut(cut.v, None, [], cut.meta, [*ended, *opened.values()])])
        return len(live)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()

    # -- one call

    def _calls(self, cut: Cut) -> Iterator[tuple[list[str], bytes]]:
        if len(cut.documents) > ATOMIC:
            *first, last = batches(cut.documents, CHUNK)
            for docs in first:
                yield self._call(cut, docs, {"state": "applying"}, [])
            yield self._call(cut, last, cut.meta, cut.alerts)
        else:
            yield self._call(cut, cut.documents, cut.meta, cut.alerts)

    def _call(
        self, cut: Cut, docs: list[Document], meta: dict[str, str], alerts: list[Alert]
    ) -> tuple[list[str], bytes]:
        feed = cut.prev is not None
        flat: list[bool | int | str] = []
        last = {a.id: a for a in alerts}.values()  # one may have ended and opened again
        for d in docs:
            flat += self._document(d, feed)
        payload = {
            "v": cut.v,
            "prev": cut.prev,
            "docs": flat,
            "negative": [x for d in docs if d.negative for x in (d.negative, d.key)],
            "positive": [d.key for d in docs if d.recovered],
            "alerts": [x for a in last if a.state == "open" for x in (a.id, _json(a))],
            "ended": [a.id for a in last if a.state != "open"],
            "feed": 10_000,
            "meta": [x for pair in meta.items() for x in pair],
        }
        return [*self._heads, *[d.key for d in docs]], self._pack(payload)

    def _document(self, d: Document, feed: bool) -> tuple[bool | int | str, ...]:
        fed = feed and d.level is not None and len(d.level.idents) == 2
        ttl, fields = (0, d.fields) if d.fields else (GONE_SECONDS, _GONE)
        return (fed, ttl, len(fields) + 4, "v", version(self._epoch, d.offset), *fields, "changed", iso(d.time_ms))

    async def _send(self, calls: list[tuple[list[str], bytes]]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for keys, payload in calls:
            pipe.fcall("onhand_publish", len(keys), *keys, payload)
        # the pipeline's own raising puts the command, and so row values, in front of Redis's words
        replies = await pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _others(self, live: set[str]) -> list[str]:
        """Stock keys that are not `live`, but for those that say so themselves."""
        names = [key.decode() async for key in self._redis.scan_iter(f"{self._prefix}:{{*", count=5000)]
        return [n for n in names if n not in live and not await self._redis.hexists(n, "deleted")]

    # -- patience

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        async for attempt in stamina.retry_context(on=_transient, attempts=None, timeout=None, wait_max=2.0):
            with attempt:
                if attempt.num > 1:
                    self._on_retry()
                    await self._load()
                return await ask()
        raise AssertionError  # without a limit of attempts the loop ends by returning or raising

    async def start(self) -> None:
        """Load the function; waits until Redis is there."""
        await self._patiently(self._load)

    async def _load(self) -> None:
        await self._redis.function_load(_library(), replace=True)


def _json(alert: Alert) -> str:
    return msgspec.json.encode(alert.to_dict()).decode()  # text: Redis's msgpack reader knows no binary


def _ended(key: str, cut: Cut) -> Document:
    return Document(key, int(cut.v.rpartition(".")[2]), milliseconds(cut.meta["as_of"]), [], recovered=True)


def _library() -> str:
    return resources.files("pipeline.adapters").joinpath("put_if_newer.lua").read_text("utf-8")
