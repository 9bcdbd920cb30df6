"""Reading what is served: the same keys any app reads, for `get`, `status` and `verify`."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec
import redis
from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.adapters.redis_replies import is_wrong_type, words
from pipeline.domain import names
from pipeline.domain.batches import batches
from pipeline.domain.errors import NotReadyError, RefusedError

NO_EVICTION = "redis-cli CONFIG SET maxmemory-policy noeviction (and in redis.conf)"
Documents = dict[str, dict[str, str]]

_SICK: tuple[tuple[str, Callable[[str, dict[str, Any]], bool], str], ...] = (
    ("role", lambda role, _: role == "slave", "Redis is a replica now: the worker cannot write to it"),
    ("maxmemory_policy", lambda policy, _: policy not in {"", "noeviction"}, f"Redis may evict keys: {NO_EVICTION}"),
    ("maxmemory", lambda most, info: 0 < int(most or 0) <= info.get("used_memory", 0), "Redis is out of memory"),
    ("rdb_last_bgsave_status", lambda status, _: status == "err", "Redis cannot write its snapshot to disk"),
    ("aof_last_write_status", lambda status, _: status == "err", "Redis cannot write its log to disk"),
)


class Reader:
    """Reads one prefix. Raises NotReadyError when Redis is away."""

    def __init__(self, url: str, prefix: str, password: str | None = None) -> None:
        self._redis = redis.Redis.from_url(
            url, password=password, decode_responses=True, encoding_errors="replace",
            socket_timeout=10, socket_connect_timeout=3, retry=Retry(NoBackoff(), 1), protocol=2, driver_info=None,
        )  # fmt: skip
        self.prefix = prefix

    def meta(self) -> dict[str, str]:
        """State, epoch, offset, position, as_of, v; empty when nothing was ever served."""
        return dict(_answer(lambda: self._redis.hgetall(f"{self.prefix}:meta").items()))

    def alerts(self) -> list[dict[str, Any]]:
        """The open alerts, oldest first."""
        return list(_answer(lambda: _alerts(self._redis.hvals(f"{self.prefix}:alerts"))))

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

    def order_keys(self) -> set[str]:
        """The names of the keys of all orders, of vanished ones too."""
        pattern = names.order_key(self.prefix, "*")
        return set(_answer(lambda: list(self._redis.scan_iter(pattern, count=5000))))

    def order(self, number: str) -> dict[str, str]:
        """One order by its number, or as keys spell it; empty where there is none."""
        keys = [names.order_key(self.prefix, number) for number in (names.encode(number), number)]
        return next(iter(live(self.read(keys)).values()), {})

    def movements(self) -> list[dict[str, str]]:
        """The events that the stream of movements holds, oldest first."""
        return [dict(e) for _, e in _answer(lambda: self._redis.xrange(f"{self.prefix}:movements"))]

    def read(self, keys: Iterable[str]) -> Documents:
        """What stands at these keys, vanished levels too; a key that is not there has no fields."""
        found: Documents = {}
        for some in batches(keys, 500):
            pipe = self._redis.pipeline(transaction=False)
            for key in some:
                pipe.hgetall(key)
            found.update(zip(some, _answer(partial(_hashes, pipe)), strict=True))
        return found

    def suspect(self, keys: Iterable[str]) -> None:
        """Have the worker compare these keys with what it remembers, before all others, and mend them."""
        for some in batches(keys, 500):
            _answer(partial(self._redis.sadd, f"{self.prefix}:suspects", *some))

    def suspects(self) -> int:
        """How many keys the worker has not looked at yet."""
        return int(_answer(lambda: int(self._redis.scard(f"{self.prefix}:suspects"))))

    def scrubbed(self) -> dict[str, str]:
        """What the worker says of comparing Redis with what it remembers: finished, keys, mended, last."""
        return dict(_answer(lambda: self._redis.hgetall(f"{self.prefix}:scrub").items()))

    def complaints(self) -> list[str]:
        """Why Redis does not take, or may lose, what the worker writes."""
        info = _answer(self._redis.info)
        return [says for name, sick, says in _SICK if sick(str(info.get(name, "")), info)]


def _hashes(asked: Any) -> list[dict[str, str]]:
    """Each key's fields; none where a foreign hand left something of another type."""
    replies = asked.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, errors.RedisError) and not is_wrong_type(reply):
            raise reply
    return [{} if isinstance(reply, errors.RedisError) else dict(reply) for reply in replies]


def _alerts(held: Iterable[Any]) -> list[dict[str, Any]]:
    alerts = [msgspec.json.decode(a, type=dict[str, Any]) for a in held]
    return sorted(alerts, key=lambda a: (str(a["since"]), str(a["id"])))


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


def _answer(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (errors.AuthenticationError, errors.NoPermissionError) as e:
        raise RefusedError(f"Redis refuses us: {e}", "set [redis] password_file, or grant the user's rights") from None
    except (errors.RedisError, OSError) as e:
        raise NotReadyError(
            f"Redis does not answer: {words(e)}", "start it, or set [redis] url (ONHAND_REDIS__URL) to where it is"
        ) from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as e:
        what = f"Redis gives an answer that makes no sense ({type(e).__name__})"
        raise NotReadyError(
            what, "look at what [redis] url leads to; the worker mends keys of its own by itself"
        ) from None
