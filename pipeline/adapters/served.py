"""Reading what is served: the same keys any app reads, for `get`, `status` and `verify`."""

from collections.abc import Iterable
from typing import Any

import msgspec
import redis
from redis import exceptions as errors

from pipeline.domain import names
from pipeline.domain.batches import batches
from pipeline.domain.errors import NotReadyError, RefusedError

NO_EVICTION = "redis-cli CONFIG SET maxmemory-policy noeviction (and in redis.conf)"
Documents = dict[str, dict[str, str]]


class Reader:
    """Reads one prefix. Raises NotReadyError when Redis is away."""

    def __init__(self, url: str, prefix: str, password: str | None = None) -> None:
        self._redis = redis.Redis.from_url(
            url, password=password, decode_responses=True, socket_timeout=10, socket_connect_timeout=3
        )
        self.prefix = prefix

    def meta(self) -> dict[str, str]:
        """State, epoch, offset, position, as_of, v; empty when nothing was ever served."""
        return dict(_answer(lambda: self._redis.hgetall(f"{self.prefix}:meta")))

    def alerts(self) -> list[dict[str, Any]]:
        """The open alerts, oldest first."""
        held = _answer(lambda: self._redis.hvals(f"{self.prefix}:alerts"))
        return sorted((msgspec.json.decode(a) for a in held), key=lambda a: (a["since"], a["id"]))

    def documents(self) -> Documents:
        """Every live stock key with its fields."""
        return live(self.read(sorted(self.keys())))

    def item(self, item: str) -> Documents:
        """The live stock keys of one item code, also where several items share it."""
        return live(self.read(sorted(self.keys(item))))

    def keys(self, item: str | None = None) -> set[str]:
        """The names of all stock keys, or of those that show one item code; of vanished levels too."""
        pattern = f"{self.prefix}:{{*"
        if item is not None:
            key = names.item_key(self.prefix, names.encode(item)).removesuffix("}")
            pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in key) + f"[}}{names.NONE}]*"
        return set(_answer(lambda: list(self._redis.scan_iter(pattern, count=5000))))

    def read(self, keys: Iterable[str]) -> Documents:
        """What stands at these keys, vanished levels too; a key that is not there has no fields."""
        found: Documents = {}
        for some in batches(keys, 500):
            pipe = self._redis.pipeline(transaction=False)
            for key in some:
                pipe.hgetall(key)
            found.update(zip(some, _answer(pipe.execute), strict=True))
        return found

    def distrust(self, keys: Iterable[str]) -> None:
        """Take the versions off these keys and off the whole: at its next cut the worker writes everything anew."""
        for some in batches([*keys, f"{self.prefix}:meta"], 500):
            pipe = self._redis.pipeline(transaction=False)
            for key in some:
                pipe.hdel(key, "v")
            _answer(pipe.execute)


def live(documents: Documents) -> Documents:
    """Those of levels that are there."""
    return {key: fields for key, fields in documents.items() if fields and "deleted" not in fields}


def check_server(url: str, password: str | None = None) -> None:
    """Refuse a Redis that would drop stock keys. Raises NotReadyError, RefusedError."""
    client = redis.Redis.from_url(url, password=password, socket_connect_timeout=3, socket_timeout=10)
    try:
        memory = _answer(lambda: client.info("memory"))
    finally:
        client.close()
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise RefusedError(
            f"Redis may evict keys (maxmemory-policy is {policy}): an evicted level would read as no stock",
            NO_EVICTION,
        )


def _answer(ask: Any) -> Any:
    try:
        return ask()
    except (errors.AuthenticationError, errors.NoPermissionError) as e:
        raise RefusedError(f"Redis refuses us: {e}", "set [redis] password_file, or grant the user's rights") from None
    except (errors.RedisError, OSError) as e:
        raise NotReadyError(
            f"Redis does not answer: {e}", "start it, or set [redis] url (ONHAND_REDIS__URL) to where it is"
        ) from None
