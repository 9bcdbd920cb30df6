"""Remembered rows and join indexes, in memory.

A row store is `{pk: row}`, a row being the tuple of its needed columns; a pk is a bare value, or a tuple of several.
An index is `{key: pks}` with pks a tuple while they are few (most keys have one) and `Pks` beyond that.
These functions cannot fail half-way: they are called while a change is being applied.
"""

from collections.abc import Hashable, Iterable
from typing import Any

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


def all_of(index: Index, keys: Iterable[Hashable]) -> set[Any]:
    """The pks behind several keys."""
    return {pk for key in keys for pk in index.get(key, ())}


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
