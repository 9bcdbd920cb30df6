"""A row store on disk (LMDB), for ledgers that do not fit memory. It is a cache of the log, never a second truth.

Rows, indexes and the offset they are of are written in one transaction, so the file holds one exact offset whenever
the process is killed. Nothing is synced to the disk meanwhile: after a power cut, or when anything else is in doubt,
the file is deleted and the log replayed. What was read or written lately stays in memory, in two generations: when the
younger one is full, the older one goes.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import lmdb

from pipeline.domain.errors import NotReadyError, OnhandError, RefusedError
from pipeline.query import packed, rows
from pipeline.query.disk_tables import DiskIndex, DiskMap, DiskMarks, Table

CACHE = 64 << 20
"""Bytes of recent rows kept in memory, roughly."""
BATCH = 4096
"""Changes that are worth a transaction: each copies a page or two of 4 kB."""

_FORMAT = 1  # of keys, values and databases
_ADDRESSES = 1 << 40  # reserved for the map: neither memory nor disk, the file grows by itself
_DATABASES = 1024
_NO_DATABASE = lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_AnyTable = TypeVar("_AnyTable", bound=Table)


def move(index: DiskIndex, old: Hashable | None, new: Hashable | None, pk: Hashable) -> None:
    """Row `pk` refers to key `new` instead of `old`; None = to nothing."""
    if old is not None:
        index.discard(old, pk)
    if new is not None:
        index.add(new, pk)


class DiskStore:
    """The rows and indexes of one source in a directory of its own, which no other process may use meanwhile.

    `identity`: what the rows depend on beside the log's records (topic, epoch, mapping). A store of another identity is
    emptied, as is one that was open when the machine went down. `offset`: the log's offset that the file is of, -1 when
    it is empty. Whatever the disk refuses is a NotReadyError; the store is then of no further use.
    """

    move = staticmethod(move)
    move_unique = staticmethod(rows.move_unique)

    def __init__(
        self, directory: Path, identity: str, *, empty: bool = False, cache: int = CACHE, batch: int = BATCH
    ) -> None:
        self._directory, self._batch, self._generation = directory, batch, cache // 2
        self._file, self._label = directory / "rows.lmdb", directory / "identity.json"
        self._seal = {"format": _FORMAT, "identity": identity, "boot": _boot()}
        self._tables: list[Table] = []
        self._spent = self._changes = 0
        try:
            self._lock = _locked(directory)
            if empty or not self._is_trusted():
                self._file.unlink(missing_ok=True)
            _write_durably(self._label, self._seal)
            try:
                self._open()
            except _NO_DATABASE:
                self._file.unlink()
                self._open()
        except (OSError, lmdb.Error) as e:
            self.fail(e)

    def _is_trusted(self) -> bool:
        try:
            held = json.loads(self._label.read_text())
        except (OSError, ValueError):
            return False
        return held in (self._seal, {**self._seal, "boot": None})

    def _open(self) -> None:
        self._env = lmdb.open(
            str(self._file), subdir=False, map_size=_ADDRESSES, max_dbs=_DATABASES, mode=0o600,
            sync=False, metasync=False, lock=False, readahead=False, meminit=False,
        )  # fmt: skip
        self.txn: Any = self._env.begin(write=True)
        self._meta = self._env.open_db(b"meta", txn=self.txn)
        self.offset = int(self.txn.get(b"offset", b"-1", self._meta))

    # ---- what a source's code asks for

    def rows(self, name: str, columns: tuple[str, ...]) -> DiskMap:
        """A table's rows by pk."""
        return self._added(DiskMap(self, f"rows {name} {' '.join(columns)}", len(columns)))

    def index(self, name: str) -> DiskIndex:
        """Pks by the keys that their rows refer to."""
        return self._added(DiskIndex(self, f"index {name}"))

    def unique(self, name: str) -> DiskMap:
        """Pks by the unique keys that their rows own."""
        return self._added(DiskMap(self, f"unique {name}", 1, of_keys=True))

    def marks(self, name: str) -> DiskMarks:
        """An empty set of pks; the last one of that name is of no further use."""
        self._tables = [t for t in self._tables if t.name != f"marks {name}"]
        return self._added(DiskMarks(self, f"marks {name}"))

    def _added(self, table: _AnyTable) -> _AnyTable:
        self._tables.append(table)
        return table

    def walk(self, pks: Iterable[Any]) -> Iterable[Any]:
        """Pks to walk over while rows are deleted."""
        return pks

    # ---- what its tables ask for

    def database(self, name: str) -> Any:
        """A database of the file. A filled file that misses one was written by other code: it is emptied."""
        key = packed.short(name)
        with self.guarded() as txn:
            is_missing = txn.get(key) is None
            made = self._env.open_db(key, txn=txn)
        if is_missing and self.offset >= 0 and not name.startswith("marks "):
            self.clear()
        return made

    @contextlib.contextmanager
    def guarded(self) -> Iterator[Any]:
        """The open transaction."""
        try:
            yield self.txn
        except lmdb.Error as e:
            self.fail(e)

    def fail(self, error: Exception) -> NoReturn:
        """Raise NotReadyError; whatever the file holds is not trusted any more."""
        with contextlib.suppress(OSError):
            self._label.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        free = shutil.disk_usage(self._directory).free >> 20 if self._directory.exists() else 0
        raise NotReadyError(  # with what is free: LMDB calls a write cut short by a full disk an input/output error
            f"the row store in {self._directory} cannot be used: {reason} ({free} MB are free there)",
            'make room there, or set another [worker] directory, or rows = "memory"; it is filled from the log again',
        ) from error

    def spend(self, size: int) -> None:
        """So many bytes more are kept in memory."""
        self._spent += size
        if self._spent > self._generation:
            self._make_room()

    def _make_room(self) -> None:
        self._spent = 0
        for table in self._tables:
            table.spill()
            table.age()

    def wrote(self, size: int) -> None:
        """The same, for a change that is to be committed."""
        self._changes += 1
        self._spent += size
        if self._spent > self._generation:
            self._make_room()

    # ---- transactions

    def flush(self, offset: int) -> None:
        """All records up to `offset` are in: commit, if there is enough to be worth it."""
        if self._changes >= self._batch:
            self._commit(offset)

    def _commit(self, offset: int) -> None:
        for table in self._tables:
            table.spill()
        with self.guarded() as txn:
            txn.put(b"offset", str(offset).encode(), db=self._meta)
            txn.commit()
            self.txn = self._env.begin(write=True)
        self.offset, self._changes = offset, 0

    def clear(self) -> None:
        """Empty it: it is of no offset then."""
        for table in self._tables:
            table.empty()
        self._commit(-1)

    def close(self) -> None:
        """Leave it as of the last commit, on the disk itself."""
        self.txn.abort()
        self._env.sync(True)
        self._env.close()
        _write_durably(self._label, {**self._seal, "boot": None})
        os.close(self._lock)


def _boot() -> str:
    """Which run of the machine this is: what was not synced survives a killed process, not a crashed machine."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return uuid.uuid4().hex  # unknown: only what was closed is trusted


def _locked(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise _in_use(directory) from None
    return lock


def _in_use(directory: Path) -> OnhandError:
    return RefusedError(
        f"another process uses the row store in {directory}", "stop it, or set another [worker] directory"
    )


def _write_durably(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123  # a descriptor
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
