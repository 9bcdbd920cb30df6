"""Rows and join indexes that live in LMDB databases, with what was read or written lately in memory."""

from collections.abc import Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice, takewhile
from typing import Any, NoReturn, Protocol

import lmdb

from pipeline.query import packed

_CHUNK = 4096
_HALF_KEY = packed.LONGEST // 2
_ENTRY, _COLUMN = 250, 50  # bytes of a cached row beside its texts: dict entries, tuple, key; a column's object


class Host(Protocol):
    """The file that tables live in: its one open transaction, and the memory they share."""

    txn: Any  # an lmdb.Transaction; its types allow for the memoryviews that we do not ask for

    def database(self, name: str) -> Any:
        """A database of the file."""

    def guarded(self) -> AbstractContextManager[Any]:
        """The open transaction; what goes wrong in it is reported as `fail` does."""

    def fail(self, error: Exception) -> NoReturn:
        """Raise what a person can mend."""

    def spend(self, size: int) -> None:
        """So many bytes more are kept in memory; may `spill` and `age` every table."""

    def wrote(self, size: int) -> None:
        """The same, for a change to be committed."""


class Table:
    """One database of the file, and what was changed in it since it was last spilled (None: deleted)."""

    def __init__(self, store: Host, name: str) -> None:
        self.name, self._store = name, store
        self._db = store.database(name)
        self._dirty: dict[bytes, bytes | None] = {}
        self._spills = 0

    def spill(self) -> None:
        """Hand what was changed to the open transaction, in the order of keys: neighbours share a page."""
        dirty, self._dirty = self._dirty, {}
        self._spills += 1
        gone = sorted(key for key, data in dirty.items() if data is None)
        with self._store.guarded() as txn:
            for key in gone:
                txn.delete(key, b"", self._db)
                del dirty[key]
            if dirty:
                txn.cursor(self._db).putmulti([(key, dirty[key]) for key in sorted(dirty)])

    def age(self) -> None:
        """Forget what was not used lately; everything changed is spilled already."""

    def empty(self) -> None:
        """Delete everything."""
        self._dirty.clear()
        with self._store.guarded() as txn:
            txn.drop(self._db, delete=False)

    def _stored(self) -> int:
        with self._store.guarded() as txn:
            return int(txn.stat(self._db)["entries"])

    def _entries(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Entries in the order of keys. They may change meanwhile: those not come to yet are seen as they are."""
        self.spill()
        while chunk := self._chunk(start):
            spills = self._spills
            for key, data in chunk:
                now = self._dirty.get(key, data)
                if now is not None:
                    yield key, now
                start = key + b"\0"
                if self._spills != spills:
                    break  # the rest of the chunk may be out of date

    def _chunk(self, start: bytes) -> list[tuple[bytes, bytes]]:
        with self._store.guarded() as txn:
            cursor = txn.cursor(self._db)
            return list(islice(cursor.iternext(), _CHUNK)) if cursor.set_range(start) else []


class DiskMap(Table):
    """`{key: tuple}` as generated code uses it: rows by pk, or the pks that own a unique key (`of_keys`)."""

    def __init__(self, store: Host, name: str, width: int, *, of_keys: bool = False) -> None:
        super().__init__(store, name)
        self._cost = _ENTRY + _COLUMN * width
        self._unpack = packed.unpack_keys if of_keys else packed.unpack_row
        # None: known to be absent. A key that is dirty is always young.
        self._young: dict[Any, tuple[Any, ...] | None] = {}
        self._old: dict[Any, tuple[Any, ...] | None] = {}
        self._count = self._stored()

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The value, or `default`."""
        value: Any = self._young.get(key, self)
        if value is self:
            value = self._find(key)
        return value if value is not None else default

    def _find(self, key: Hashable) -> Any:
        value: Any = self._old.get(key, self)
        size = self._cost
        if value is self:
            short, value = packed.short(key), None
            try:
                data = self._store.txn.get(short, None, self._db)
            except lmdb.Error as e:
                self._store.fail(e)
            if data is not None:
                size += len(data)
                value = self._unpack(data if short[0] != packed.HASHED else _own(key, data))
        self._young[key] = value
        self._store.spend(size)
        return value

    def __getitem__(self, key: Hashable) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError
        return value

    def __setitem__(self, key: Hashable, value: tuple[Any, ...]) -> None:
        known: Any = self._young.get(key, self)
        if known is self:
            known = self._find(key)
        if known is None:
            self._count += 1
        self._young[key] = value
        short, data = packed.short(key), packed.pack(value)
        self._dirty[short] = data if short[0] != packed.HASHED else packed.join(packed.pack(key), data)
        self._store.wrote(len(data))

    def __delitem__(self, key: Hashable) -> None:
        if self.get(key) is not None:
            self._count -= 1
        self._young[key] = None
        self._dirty[packed.short(key)] = None
        self._store.wrote(0)

    def pop(self, key: Hashable, default: Any = None) -> Any:
        """Remove a key; its value, or `default`."""
        value = self.get(key)
        if value is None:
            return default
        del self[key]
        return value

    def __contains__(self, key: Hashable) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for key, data in self._entries():
            yield packed.unpack_key(packed.split(data)[0] if key[0] == packed.HASHED else key)

    def keys(self) -> "DiskMap":
        """The keys."""
        return self

    def values(self) -> Iterator[tuple[Any, ...]]:
        """The values, in no order that means anything."""
        for key, data in self._entries():
            yield self._unpack(packed.split(data)[1] if key[0] == packed.HASHED else data)

    def age(self) -> None:
        """Drop the older generation."""
        self._old, self._young = self._young, {}

    def empty(self) -> None:
        """Delete everything."""
        super().empty()
        self._young, self._old, self._count = {}, {}, 0


def _own(key: Hashable, data: bytes) -> bytes:
    """The value of a hashed key."""
    whole, data = packed.split(data)
    assert whole == packed.pack(key), "two keys of one hash"  # noqa: S101  # 2**-256
    return data


class DiskMarks(DiskMap):
    """A set of keys, emptied when it is made."""

    def __init__(self, store: Host, name: str) -> None:
        super().__init__(store, name, 0)
        self.empty()

    def add(self, key: Hashable) -> None:
        """Put a key in."""
        self[key] = ()


class DiskIndex(Table):
    """`{key: pks}`, an entry each: a key that a million rows refer to is never written as a whole."""

    def get(self, key: Hashable, default: Iterable[Any] = ()) -> Iterable[Any]:
        """The pks behind a key, or `default`."""
        whole, prefix = packed.pack(key), packed.short(key, _HALF_KEY)
        found = []
        for entry, data in self._beginning_with(prefix):
            held, pk = packed.split(data) if data else (whole, entry[len(prefix) :])
            if held == whole:
                found.append(packed.unpack_key(pk))
        return found or default

    def _beginning_with(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        if self._dirty:
            self.spill()
        with self._store.guarded() as txn:
            cursor = txn.cursor(self._db)
            entries = cursor.iternext() if cursor.set_range(prefix) else ()
            return list(takewhile(lambda entry: entry[0].startswith(prefix), entries))

    def add(self, key: Hashable, pk: Hashable) -> None:
        """Row `pk` refers to `key`."""
        entry = packed.short(key, _HALF_KEY), packed.short(pk, _HALF_KEY)
        is_plain = entry[0][0] != packed.HASHED != entry[1][0]
        # where one of them is too long, both stand in the value
        self._write(entry, b"" if is_plain else packed.join(packed.pack(key), packed.pack(pk)))

    def discard(self, key: Hashable, pk: Hashable) -> None:
        """Row `pk` no longer refers to `key`."""
        self._write((packed.short(key, _HALF_KEY), packed.short(pk, _HALF_KEY)), None)

    def _write(self, entry: tuple[bytes, bytes], data: bytes | None) -> None:
        self._dirty[entry[0] + entry[1]] = data
        self._store.wrote(_ENTRY)

    def __len__(self) -> int:
        self.spill()
        return self._stored()
