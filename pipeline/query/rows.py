"""Remembered rows and join indexes, in memory; `disk` has them on disk, behind the same `Store`.

A row store is `{pk: row}`, a row being the tuple of its needed columns; a pk is a bare value, or a tuple of several.
An index is `{key: pks}` with pks a tuple while they are few (most keys have one) and `Pks` beyond that.
These functions cannot fail half-way: they are called while a change is being applied.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

from pipeline.domain.sweeps import Marks
from pipeline.query.pks import Pks

Index = dict[Any, Any]

NOBODY = (None,)  # what a unique index answers for an unknown key: no row has the pk None

_FEW = 8


def link(index: Index, key: Hashable, pk: Hashable) -> None:
    """Remember that row `pk` refers to `key`."""
    held = index.get(key)
    if held is None:
        index[key] = (pk,)
    elif type(held) is Pks:
        held.add(pk)
    elif pk not in held:
        index[key] = (*held, pk) if len(held) < _FEW else Pks((*held, pk))


def link_unique(index: Index, key: Hashable, pk: Hashable) -> None:
    """Remember that row `pk` owns the unique `key`.

    While a log is replayed two rows may own one key for a moment: all are kept, the latest last, so that
    the one that stays is still found when the other leaves.
    """
    index[key] = (*index.get(key, ()), pk)


def unlink(index: Index, key: Hashable, pk: Hashable) -> None:
    """Forget one reference; an unused key is dropped."""
    held = index.get(key)
    if type(held) is Pks:
        held.discard(pk)
    elif held is not None:
        held = index[key] = tuple(p for p in held if p != pk)
    if not held:
        index.pop(key, None)


def move(index: Index, old: Hashable | None, new: Hashable | None, pk: Hashable) -> None:
    """Row `pk` refers to key `new` instead of `old`; None = to nothing."""
    if old is not None:
        unlink(index, old, pk)
    if new is not None:
        link(index, new, pk)


def move_unique(index: Index, old: Hashable | None, new: Hashable | None, pk: Hashable) -> None:
    """Row `pk` owns the unique key `new` instead of `old`; None = none."""
    if old is not None:
        unlink(index, old, pk)
    if new is not None:
        link_unique(index, new, pk)


class Store(Protocol):
    """Where a source's rows live: what it hands out stands in generated code as dicts do."""

    offset: int
    """The log's offset that the store is of, should it outlive the process; -1 = of none."""
    move: Callable[..., None]
    move_unique: Callable[..., None]

    def walk(self, pks: Iterable[Any]) -> Iterable[Any]:
        """The pks of a table's rows, one after the other; rows may be deleted meanwhile."""

    def rows(self, name: str, columns: tuple[str, ...]) -> Any:
        """A table's rows: `{pk: row}`."""

    def index(self, name: str) -> Any:
        """For `move`: `{key: pks}`."""

    def unique(self, name: str) -> Any:
        """For `move_unique`: `{key: pks}`."""

    def marks(self, name: str) -> Marks:
        """An empty set of pks; another of the same name takes its place."""

    def flush(self, offset: int) -> None:
        """All of the log up to `offset` is in. Raises NotReadyError: do not commit it."""

    def close(self) -> None:
        """Leave it in order."""


class MemoryStore:
    """Rows and indexes in this process's memory."""

    offset = -1
    move = staticmethod(move)
    move_unique = staticmethod(move_unique)

    def walk(self, pks: Iterable[Any]) -> Iterable[Any]:
        """Pks to walk over while rows are deleted."""
        return list(pks)

    def rows(self, name: str, columns: tuple[str, ...]) -> dict[Any, Any]:  # noqa: ARG002  # a dict needs no name
        """A table's rows by pk."""
        return {}

    def index(self, name: str) -> Index:  # noqa: ARG002  # as above
        """Pks by the keys that their rows refer to."""
        return {}

    unique = index

    def marks(self, name: str) -> set[Any]:  # noqa: ARG002  # as above
        """An empty set of pks."""
        return set()

    def flush(self, offset: int) -> None:
        """Nothing outlives the process."""

    def close(self) -> None:
        """Nothing is left."""
