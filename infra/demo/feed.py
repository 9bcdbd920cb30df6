"""Stock as any app follows it: read once from Redis, then the `changes` stream. The demo's only source of figures."""

import time
from typing import Any, NamedTuple, Self, cast

import redis

from pipeline.adapters.served import Documents, Reader
from pipeline.domain.names import parse_key
from pipeline.domain.times import milliseconds


class Change(NamedTuple):
    """An (item, warehouse) with a new value. Times in milliseconds since 1970, UTC."""

    item: str
    warehouse: str
    fields: dict[str, str]
    changed_ms: int
    seen_ms: float


class Feed:
    """One prefix. Not for use by two threads."""

    def __init__(self, url: str, prefix: str = "stock") -> None:
        self._redis = redis.Redis.from_url(url, decode_responses=True)
        self._reader, self._prefix, self._last = Reader(url, prefix), prefix, "0"
        self.meta: dict[str, str] = {}
        self.alerts: list[dict[str, Any]] = []

    def state(self) -> str:
        """What the worker says it is doing; empty before its first word."""
        return self._reader.meta().get("state", "")

    def snapshot(self) -> list[Change]:
        """Every (item, warehouse) now; `follow` goes on from here."""
        newest = cast("list[tuple[str, dict[str, str]]]", self._redis.xrevrange(f"{self._prefix}:changes", count=1))
        self._last = newest[0][0] if newest else "0"
        changes = [self._change(key, fields) for key, fields in self._reader.documents().items()]
        self._look_around()
        return [change for change in changes if change]

    def documents(self) -> Documents:
        """Every stock key: items, (item, warehouse) and details."""
        return self._reader.documents()

    def follow(self, wait_ms: int) -> list[Change]:
        """The changes since the last call, at once when there are any, else after `wait_ms`."""
        stream = f"{self._prefix}:changes"
        answer = cast("Any", self._redis.xread({stream: self._last}, block=wait_ms))
        entries = [entry for _, page in answer or [] for entry in page]
        self._last = entries[-1][0] if entries else self._last
        changes = [self._change(fields["key"], fields) for _, fields in entries]
        self._look_around()
        return [change for change in changes if change]

    def close(self) -> None:
        """Let go of the connection."""
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_around(self) -> None:
        self.meta, self.alerts = self._reader.meta(), self._reader.alerts()

    def _change(self, key: str, fields: dict[str, str]) -> Change | None:
        named = parse_key(self._prefix, key)
        if named.keys() != {"item", "warehouse"}:
            return None
        return Change(named["item"], named["warehouse"], fields, milliseconds(fields["changed"]), time.time() * 1000)
