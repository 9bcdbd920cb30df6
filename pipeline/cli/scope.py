"""Which keys a command is about: all, those of one item, or a sample."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pipeline.adapters.served import Reader
from pipeline.domain.names import NONE, encode, split_code
from pipeline.query.keyed import Items


@dataclass(frozen=True)
class Scope:
    """Which keys are compared: those of `items` (None = all), and of these only the item spelled `shown` in keys."""

    items: Items | None = None
    shown: str | None = None

    def within(self, prefix: str, keys: Iterable[str]) -> list[str]:
        """Those of served keys that are within: a million keys are of few items."""
        items = self.items
        if items is None:
            return list(keys)
        holds = lru_cache(maxsize=None)(lambda item: self.shown in (None, item) and split_code(item) in items)
        begin = len(prefix) + 2
        return [key for key in keys if holds(key[begin : key.find("}")])]


def item_scope(served: Reader, typed: str) -> Scope:
    """An item by its code; else as keys spell one without a code of its own: `~7`, or `CODE~7` where CODE is shared."""
    if NONE not in typed or served.keys(typed):
        return Scope(Items(codes=frozenset([typed])))
    code, _, ident = typed.partition(NONE)
    items = Items(codes=frozenset([code])) if code else Items(ids=frozenset([ident]))
    return Scope(items, f"{encode(code)}{NONE}{encode(ident)}")
