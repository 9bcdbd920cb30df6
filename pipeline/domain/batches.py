"""Many things in lists of a size a server takes well."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one of what is left."""
    it = iter(items)
    while some := list(islice(it, size)):
        yield some
