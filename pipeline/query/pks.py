"""Many primary keys behind one key of an index: sorted lists, which take a fifth of a set's memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

_PART = 512  # an insertion moves at most twice as many references

_first = itemgetter(0)


class Pks:
    """A set of values that can be ordered, in sorted parts of which none is empty. Iterates in order."""

    __slots__ = ("_parts",)

    def __init__(self, pks: Iterable[Any]) -> None:
        self._parts = [sorted(pks)]

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._parts)

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, pk: Any) -> None:
        """Put one in, if it is not there."""
        part = self._parts[-1]
        if pk > part[-1]:  # most tables number their rows upwards
            part.append(pk)
            at = len(self._parts) - 1
        else:
            at, i = self._place(pk)
            part = self._parts[at]
            if part[i] == pk:
                return
            part.insert(i, pk)
        if len(part) > 2 * _PART:
            self._parts[at : at + 1] = [part[:_PART], part[_PART:]]

    def discard(self, pk: Any) -> None:
        """Take one out, if it is there."""
        if not self._parts or pk > self._parts[-1][-1]:
            return
        at, i = self._place(pk)
        part = self._parts[at]
        if part[i] == pk:
            del part[i]
            if not part:
                del self._parts[at]

    def _place(self, pk: Any) -> tuple[int, int]:
        """The part, and the place in it, of the first value not below `pk`, which is not above all values."""
        at = max(bisect_right(self._parts, pk, key=_first) - 1, 0)
        i = bisect_left(self._parts[at], pk)
        return (at, i) if i < len(self._parts[at]) else (at + 1, 0)
