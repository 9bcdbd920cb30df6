"""What Redis answers, checked: a reply that is none is InvalidResponse, and is asked for again."""

from collections.abc import Callable, Mapping
from typing import Any

from redis import exceptions as errors

from pipeline.domain.change import Position
from pipeline.domain.times import milliseconds


def is_wrong_type(reply: object) -> bool:
    """True for Redis's word that a key is not what the command is for."""
    return isinstance(reply, errors.ResponseError) and str(reply).startswith("WRONGTYPE")


def words(e: Exception) -> str:
    """What Redis said, without the arguments it repeats."""
    return str(e).partition(", with args")[0][:200]


def anything(replies: list[Any]) -> None:
    """Redis took it; what it said does not matter."""
    del replies


def as_they_are(replies: list[Any]) -> list[Any]:
    """Whatever it said."""
    return replies


def texts(reply: object) -> list[str]:
    """A list of texts."""
    if not isinstance(reply, list) or not all(isinstance(x, bytes) for x in reply):
        raise errors.InvalidResponse(f"{type(reply).__name__} for a list of texts")
    return [x.decode(errors="replace") for x in reply]


def fields(reply: object) -> dict[str, str]:
    """A hash; one of another type is none of ours, and the first write will take its place."""
    flat = [] if is_wrong_type(reply) else texts(reply)
    return dict(zip(flat[::2], flat[1::2], strict=False))


def members(reply: object) -> list[str]:
    """A set; nothing where the key is of another type."""
    return [] if is_wrong_type(reply) else texts(reply)


def policy(reply: object) -> str:
    """The eviction policy that INFO tells."""
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    return next((line.partition(":")[2] for line in lines if line.startswith("maxmemory_policy:")), "")


def page(reply: object) -> tuple[int, list[str]]:
    """A cursor and what SCAN or ZSCAN found; nothing where the key is of another type."""
    match reply:
        case [bytes(cursor), list(found)] if cursor.isdigit():
            return int(cursor), texts(found)
        case _ if is_wrong_type(reply):
            return 0, []
    raise errors.InvalidResponse(f"{type(reply).__name__} for a page")


def written(reply: object) -> tuple[bytes, set[str]]:
    """The status of onhand_publish, and the keys that it refused."""
    match reply:
        case [b"ok" | b"gap" | b"newer" as status, int(), list(refused)]:
            return status, set(texts(refused))
    raise errors.InvalidResponse("no answer of onhand_publish")


def mended(reply: object) -> tuple[bytes, list[tuple[str, str]]]:
    """The status of onhand_mend, and the kinds and keys of what it mended."""
    match reply:
        case [b"ok" | b"gap" | b"newer" | b"busy" as status, list(found)]:
            flat = texts(found)
            return status, list(zip(flat[::2], flat[1::2], strict=False))
    raise errors.InvalidResponse("no answer of onhand_mend")


def is_whole(meta: Mapping[str, str], version: Callable[[int, int], str]) -> bool:
    """True for a meta that a worker wrote: its version goes with its epoch and offset."""
    try:
        milliseconds(meta["as_of"])
        Position.parse(meta["position"])
        return meta["v"] == version(int(meta["epoch"]), int(meta["offset"]))
    except (KeyError, TypeError, ValueError):
        return False
