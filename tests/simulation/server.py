"""Redis in memory: exactly the commands that the projection sends, its function in real Lua, RESP2 on the wire.

`test_server.py` holds it to the real server: the same bytes sent to both give the same replies and the same data.
"""

import copy
import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import hiredis
import msgspec
from lupa.lua51 import LuaRuntime

OK, READ_ONLY = b"+OK\r\n", b"-READONLY You can't write against a read only replica.\r\n"
_WRITES = {"HSET", "HDEL", "DEL", "ZADD", "ZREM", "XADD", "EXPIRE", "PERSIST", "SPOP", "FUNCTION", "FCALL"}


def _reply(value: Any) -> bytes:
    """A value as RESP2."""
    match value:
        case None:
            return b"$-1\r\n"
        case bool() | int():
            return b":%d\r\n" % value
        case str():
            data = value.encode()
            return b"$%d\r\n%s\r\n" % (len(data), data)
        case _:
            return b"*%d\r\n" % len(value) + b"".join(map(_reply, value))


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    return {key: copy.copy(value) for key, value in data.items()}  # what values hold is never changed


class Server:
    """One Redis. `data`: key -> hash, sorted set (values are floats) or stream (a list of entries)."""

    lua: Any = None
    running: "Server"
    compiled: ClassVar[dict[str, Any]] = {}

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.data: dict[str, Any] = {}
        self.expires: dict[str, float] = {}
        self.functions: dict[str, Any] = {}
        self.read_only = False
        self._now, self._ids = now, 0
        self._prepare()

    @classmethod
    def _prepare(cls) -> None:
        if cls.lua is None:
            lua = cls.lua = LuaRuntime(unpack_returned_tuples=True)
            lua.globals().redis = lua.table_from(
                {"call": _call_from_lua, "pcall": _call_from_lua, "register_function": _register}
            )
            lua.globals().cmsgpack = lua.table_from({"unpack": _unpack})

    # -- what stands there

    def copy(self) -> tuple[dict[str, Any], dict[str, float]]:
        """The data as of now, for `restore`."""
        return _copy(self.data), dict(self.expires)

    def restore(self, kept: tuple[dict[str, Any], dict[str, float]]) -> None:
        """Be as of then."""
        self.data, self.expires = _copy(kept[0]), dict(kept[1])

    def _get(self, key: str, empty: Any) -> Any:
        if self.expires.get(key, self._now() + 1) <= self._now():
            self._del(key)
        return self.data.get(key, empty)

    def _del(self, *keys: str) -> int:
        for key in keys:
            self.expires.pop(key, None)
        return sum(self.data.pop(key, None) is not None for key in keys)

    # -- the wire

    def answer(self, command: list[bytes]) -> bytes:
        """One command's reply."""
        name = command[0].decode().upper()
        if self.read_only and name in _WRITES:
            return READ_ONLY
        try:
            if name == "FCALL":
                return self._fcall(command)
            return self._plain(name, [c.decode() for c in command[1:]])
        except _ReplyError as e:
            return b"-%s\r\n" % str(e).encode()

    def _plain(self, name: str, args: list[str]) -> bytes:
        if name in ("CLIENT", "SELECT", "AUTH"):
            return OK
        if name == "FUNCTION":
            self._load(args[-1])
            return _reply("onhand")
        if name == "ZSCAN":
            return _reply(["0", [x for m, score in self._get(args[0], {}).items() for x in (m, f"{score:.17g}")]])
        if name == "SCAN":
            return self._scan(args)
        return _reply(self.call(name, *args))

    def _scan(self, args: list[str]) -> bytes:
        pattern = args[args.index("MATCH") + 1]
        glob = re.compile(fnmatch.translate(pattern))
        return _reply(["0", [key for key in list(self.data) if glob.match(key) and self._get(key, None) is not None]])

    def _load(self, source: str) -> None:
        if source not in self.compiled:
            Server.running, self._registering = self, {}
            self.lua.execute(source.partition("\n")[2])
            self.compiled[source] = self._registering
        self.functions |= self.compiled[source]

    def _fcall(self, command: list[bytes]) -> bytes:
        function = self.functions.get(command[1].decode())
        if function is None:
            return b"-ERR Function not found\r\n"
        many, lua = int(command[2]), self.lua
        keys = lua.table_from([k.decode() for k in command[3 : 3 + many]])
        Server.running = self
        said = function(keys, lua.table_from([_Packed(a) for a in command[3 + many :]])).values()
        return _reply([x if isinstance(x, int | str) else list(x.values()) for x in said])

    # -- commands, from the wire and from Lua

    def call(self, name: str, *args: Any) -> Any:
        """A command's reply as a value."""
        handler = getattr(self, f"_{name.lower()}", None)
        if handler is None:
            raise _ReplyError(f"ERR unknown command '{name}'")
        return handler(*args)

    def _type(self, key: str) -> Any:
        match self._get(key, None):
            case None:
                kind = "none"
            case list():
                kind = "stream"
            case set():
                kind = "set"
            case found:
                kind = "zset" if isinstance(next(iter(found.values())), float) else "hash"
        return self.lua.table_from({"ok": kind})

    def _hgetall(self, key: str) -> list[str]:
        return [x for pair in self._get(key, {}).items() for x in pair]

    def _hmget(self, key: str, *names: str) -> Any:
        found = self._get(key, {})
        return self.lua.table_from([found.get(name, False) for name in names])

    def _hget(self, key: str, name: str) -> str | None:
        return self._get(key, {}).get(name)

    def _hlen(self, key: str) -> int:
        return len(self._get(key, ()))

    def _hexists(self, key: str, name: str) -> bool:
        return name in self._get(key, ())

    def _hvals(self, key: str) -> list[str]:
        return list(self._get(key, {}).values())

    def _hset(self, key: str, *pairs: str) -> int:
        found = self._get(key, None)
        if found is None:
            found = self.data[key] = {}
        before = len(found)
        found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(found) - before

    def _hdel(self, key: str, *names: str) -> int:
        return self._remove(key, names)

    def _zadd(self, key: str, score: str, member: str) -> int:
        found = self.data.setdefault(key, {})
        new = member not in found
        found[member] = float(score)
        return int(new)

    def _zrange(self, key: str, first: str, last: str) -> list[str]:
        members = self._get(key, {})
        return sorted(members, key=lambda m: (members[m], m))[int(first) : int(last) + 1 or None]

    def _zscore(self, key: str, member: str) -> str | None:
        score = self._get(key, {}).get(member)
        return None if score is None else f"{score:.17g}"

    def _spop(self, key: str, most: str) -> list[str]:
        found = self._get(key, set())
        popped = sorted(found)[: int(most)]
        found.difference_update(popped)
        if not found:
            self._del(key)
        return popped

    def _zrem(self, key: str, *members: str) -> int:
        return self._remove(key, members)

    def _remove(self, key: str, names: Iterable[str]) -> int:
        found = self._get(key, {})
        gone = sum(found.pop(name, None) is not None for name in names)
        if not found:
            self._del(key)
        return gone

    def _expire(self, key: str, seconds: Any) -> int:
        if self._get(key, None) is None:
            return 0
        self.expires[key] = self._now() + int(seconds)
        return 1

    def _persist(self, key: str) -> int:
        return int(self.expires.pop(key, None) is not None)

    def _xadd(self, key: str, *args: Any) -> str:
        self._ids += 1
        fields = args[args.index("*") + 1 :]
        self.data.setdefault(key, []).append(dict(zip(fields[::2], fields[1::2], strict=True)))
        return f"{self._ids}-0"


class _ReplyError(Exception):
    """What Redis answers instead of a value."""


def _call_from_lua(name: str, *args: Any) -> Any:
    found = Server.running.call(name, *[a if type(a) is str else _text(a) for a in args])
    if isinstance(found, list):
        return Server.lua.table_from(found)
    return False if found is None else found  # as Redis hands nil to Lua


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.decode() if isinstance(value, bytes) else str(value)


def _register(name: str, function: Any) -> None:
    Server.running._registering[name] = function


class _Packed:
    """Bytes on their way through Lua, which hands Python texts only."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


_decode = msgspec.msgpack.Decoder().decode


def _unpack(packed: _Packed) -> Any:
    found = _decode(packed.data)
    table = {k: Server.lua.table_from(v) if isinstance(v, list) else v for k, v in found.items() if v is not None}
    return Server.lua.table_from(table)


class Session:
    """One connection's bytes, as commands."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()

    def commands(self, data: bytes) -> list[list[bytes]]:
        """The commands that are complete by now."""
        self._reader.feed(data)
        found: list[list[bytes]] = []
        while (command := self._reader.gets()) is not False:
            found.append(command)
        return found
