"""What a pack's items.sql says of items: limits such as the safety stock, by item and warehouse or of all together."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from pipeline.domain.codes import blank
from pipeline.domain.documents import Level
from pipeline.domain.errors import NotServedError, PackError
from pipeline.domain.levels import Group, Key, StockLevels, ViewLike

LIMITS = ("safety_stock", "reorder_point", "max_stock")
TEXTS = ("item_group",)


class Items:
    """The fold of result rows into facts by the idents of a level, or of an item where the row names no warehouse.

    `limits`: those of `names` in their order; amounts at the view's own scales, None where a text is not given.
    """

    def __init__(self, view: ViewLike, levels: StockLevels) -> None:
        if "org" in view.keys:
            raise NotServedError("items.sql yields org, which is not served yet", "leave org out of the query")
        self._levels = levels
        self._item, self._warehouse = _at("item", view.keys), _at("warehouse", view.keys)
        if self._item is None:
            raise PackError("items.sql must yield item", "see the pack contract")
        amounts = {a.name: i for i, a in enumerate(view.amounts)}
        self.scales = {a.name: a.scale for a in view.amounts}
        self._amounts = [amounts[name] for name in LIMITS if name in amounts]
        self._texts = [view.keys.index(name) for name in TEXTS if name in view.keys]
        self.names = tuple(n for n in (*LIMITS, *TEXTS) if n in amounts or n in view.keys)
        self._rows: dict[tuple[Hashable, ...], dict[Key, tuple[int, ...]]] = {}
        self.limits: dict[tuple[Hashable, ...], tuple[Any, ...]] = {}

    def absorb(self, groups: Iterable[Group]) -> list[Level]:
        """Take result rows as they are after a transaction; the (item, warehouse) levels that they are about."""
        touched: dict[tuple[Hashable, ...], None] = {}
        for key, count, amounts in groups:
            idents = self._idents(key)
            rows = self._rows.setdefault(idents, {})
            if count:
                rows[key] = amounts
            else:
                rows.pop(key, None)
            touched[idents] = None
        return [level for idents in touched for level in self._refresh(idents)]

    def _idents(self, key: Key) -> tuple[Hashable, ...]:
        item = blank(key[self._item]) if self._item is not None else None
        warehouse = blank(key[self._warehouse]) if self._warehouse is not None else None
        return (item,) if warehouse is None else (item, warehouse)

    def _refresh(self, idents: tuple[Hashable, ...]) -> Iterable[Level]:
        if rows := self._rows[idents]:
            sums = [sum(column) for column in zip(*rows.values(), strict=True)]
            texts = [min((key[i] for key in rows if blank(key[i]) is not None), default=None) for i in self._texts]
            self.limits[idents] = (*(sums[i] for i in self._amounts), *texts)
        else:
            del self._rows[idents]
            self.limits.pop(idents, None)
        level = self._levels.levels.get(idents)
        if level is None:
            return ()
        return (level,) if len(idents) > 1 else tuple((level.children or {}).values())


def _at(name: str, keys: Sequence[str]) -> int | None:
    return next((keys.index(n) for n in (f"{name}_id", name) if n in keys), None)
