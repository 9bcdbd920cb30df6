"""A connection to Redis that waits: what keeps Redis from taking our writes is waited for, and said.

Nothing is lost by waiting, as the log keeps every change: away, loading, out of memory, read-only, a full disk, a busy
script, a password or rights that changed. Each time a new connection is made, since the old one may be half open or
lead to what is a replica now. What no waiting mends is a RefusedError.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis.asyncio as aredis
import stamina
from redis import exceptions as errors
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from pipeline.adapters.redis_replies import is_wrong_type, words
from pipeline.domain.errors import RefusedError

ANSWER_SECONDS = 10
CONNECT_SECONDS = 5
Secret = Callable[[], str | None] | str | None
Command = tuple[Any, ...]
T = TypeVar("T")
_PASSES = (
    *("MISCONF", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY", "OOM", "UNBLOCKED"),
    *("Function not found", "ACL failure in script", "The user executing the script", "max number of clients"),
)
_WAITED_FOR = (
    errors.ConnectionError,  # a refused password among them
    errors.TimeoutError,
    errors.ReadOnlyError,
    errors.OutOfMemoryError,
    errors.NoPermissionError,
    errors.InvalidResponse,
    OSError,
)


class Login(CredentialProvider):
    """User and password, asked for anew at each connection: a password that was rotated needs no new start."""

    def __init__(self, user: str | None, secret: Secret) -> None:
        self._user, self._secret = user, secret

    def get_credentials(self) -> tuple[str] | tuple[str, str] | tuple[()]:  # type: ignore[override]  # () = nobody
        """What AUTH is sent with; empty: no AUTH."""
        password = self._secret() if callable(self._secret) else self._secret
        if not password:
            return ()
        return (self._user, password) if self._user else (password,)

    async def get_credentials_async(self) -> Any:
        """The same."""
        return self.get_credentials()


class PatientRedis:
    """Sends commands, raw replies come back. While it waits, `on_retry` is told each time and `why` says the reason."""

    def __init__(
        self, url: str, secret: Secret, library: str, on_retry: Callable[[], None], on_back: Callable[[], None]
    ) -> None:
        where: dict[str, Any] = {**parse_url(url)}
        login = Login(where.pop("username", None), secret)
        pool = aredis.ConnectionPool(
            **where, credential_provider=login, protocol=2, retry=Retry(NoBackoff(), 0), driver_info=None,
            socket_timeout=ANSWER_SECONDS, socket_connect_timeout=CONNECT_SECONDS,
        )  # fmt: skip
        self._redis = aredis.Redis.from_pool(pool)
        self._redis.response_callbacks.clear()  # they take any reply for a right one
        self._load: Command = ("FUNCTION", "LOAD", "REPLACE", library)
        self._on_retry, self._on_back = on_retry, on_back
        self.why = ""

    async def ask(self, commands: Sequence[Command], read: Callable[[list[Any]], T]) -> T:
        """The replies as `read` takes them; it raises InvalidResponse for what is none. Waits as long as it takes."""
        async for attempt in stamina.retry_context(on=self._waits_for, attempts=None, timeout=None, wait_max=2.0):
            with attempt:
                if attempt.num > 1:
                    self._on_retry()
                    await self._redis.connection_pool.disconnect()
                    await self._send([self._load])  # it may be another server, or have lost our functions
                found = read(await self._send(commands))
                if attempt.num > 1:
                    self._on_back()
                return found
        raise AssertionError  # without a limit of attempts the loop ends by returning or raising

    async def try_once(self, command: Command, read: Callable[[Any], T]) -> T | None:
        """One answer, None where there is none now."""
        try:
            return read((await self._send([command]))[0])
        except (errors.RedisError, OSError, RefusedError):
            return None

    async def start(self) -> None:
        """Give Redis our functions; waits until it is there."""
        await self.ask([self._load], len)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        try:
            # the pipeline's own raising puts the command, and so row values, in front of Redis's words
            replies = await pipe.execute(raise_on_error=False)
        except (errors.RedisError, OSError):
            raise
        except Exception as e:  # noqa: BLE001  # whatever redis-py trips over while it reads is no reply
            raise errors.InvalidResponse(type(e).__name__) from None
        for reply in replies:
            if isinstance(reply, Exception) and not is_wrong_type(reply):
                raise _final(reply)
        return list(replies)

    def _waits_for(self, e: Exception) -> bool:
        self.why = f"{type(e).__name__}: {words(e)}"
        return isinstance(e, _WAITED_FOR)


def _final(reply: Exception) -> Exception:
    if isinstance(reply, _WAITED_FOR):
        return reply
    if str(reply).startswith(_PASSES):
        return errors.ConnectionError(words(reply))
    return RefusedError(f"Redis refuses what we ask: {words(reply)}", "use Redis 7.0 or newer, one server, no cluster")
