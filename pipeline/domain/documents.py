"""What a reader sees of a level: its key and its fields, as texts.

A document is made anew at every change of its level, so what an item says of its warehouses is kept as it was written
last, and only the quantities that changed are written again.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from pipeline.domain import names
from pipeline.domain.decimals import decimal_text
from pipeline.domain.shape import Shape


@dataclass(slots=True, eq=False)
class Level:
    """One level and what was last shown of it. `offset` and `time_ms`: the END at which it last changed.

    `shown` is its served key, "" before it was served; `text` is its on hand as it is written, "" when it must be
    written anew. `listed`: of an item, what it says of its warehouses (name, on hand, name, on hand, ..), empty when it
    must be listed anew; `place`: of an (item, warehouse) level, where its on hand stands in its item's list.
    `alert`: what the alerts know of it. `degraded`: why its figures may be wrong, "" where they are right.
    """

    idents: tuple[Hashable, ...]
    on_hand: int = 0
    usable: int = 0
    reserved: int = 0
    rows: int = 0
    offset: int = 0
    time_ms: int = 0
    shown: str = ""
    renamed: bool = False
    text: str = ""
    alert: Any = None
    degraded: str = ""
    negative: bool = False
    place: int = 0
    listed: list[str] = field(default_factory=list)
    parent: "Level | None" = None
    by_status: dict[Hashable, int] | None = None
    children: dict[Hashable, "Level"] | None = None

    @property
    def available(self) -> int:
        """What may be promised."""
        return self.usable - self.reserved


@dataclass(slots=True)
class Document:
    """A served key as it is at `offset`. `fields` is flat: name, value, name, value; empty = the level is gone.

    `negative`: the quantity available, where that is below zero; `recovered`: it was when last shown, and is no more.
    `order`: it is an order's, not a level's.
    """

    key: str
    offset: int
    time_ms: int
    fields: list[str]
    level: Level | None = None
    negative: str = ""
    recovered: bool = False
    order: bool = False


class DocumentWriter:
    """Writes the documents of one source's levels."""

    def __init__(self, prefix: str, shape: Shape) -> None:
        self.prefix, self.shape = prefix, shape
        self._zero = self.text(0)
        self.negative: set[Level] = set()
        """The (item, warehouse) levels that were shown with less than nothing on hand."""

    def key(self, level: Level) -> str:
        """The Redis key of a level."""
        item = self.shape.item.codes.show(level.idents[0])
        if len(level.idents) == 1:
            return names.item_key(self.prefix, item)
        warehouse = self.shape.warehouse.codes.show(level.idents[1])
        if len(level.idents) == 2:
            return names.level_key(self.prefix, item, warehouse)
        pairs = zip(self.shape.detail, level.idents[2:], strict=True)
        named = [(d.name, d.codes.show(i)) for d, i in pairs if i is not None]
        return names.detail_key(self.prefix, item, warehouse, named)

    def document(self, level: Level) -> Document:
        """A live level as it is now; notes what was shown of it."""
        on_hand = level.text = level.text or self.text(level.on_hand)
        reserved = self.text(level.reserved) if level.reserved else self._zero
        fields = ["on_hand", on_hand]
        if len(level.idents) <= 2:
            usable = on_hand if level.usable == level.on_hand else self.text(level.usable)
            fields += ("usable", usable)
            if self.shape.has_reserved:
                fields += ("reserved", reserved, "available", self.text(level.available) if level.reserved else usable)
            if level.by_status:
                fields += self._statuses(level.by_status)
            if level.children:
                fields += level.listed or self._list(level)
        elif self.shape.has_reserved:
            fields += ("reserved", reserved)
        if level.degraded:
            fields += ("degraded", level.degraded)
        document = Document(level.shown, level.offset, level.time_ms, fields, level)
        if len(level.idents) == 2:
            self._note(level, document)
        return document

    def _note(self, level: Level, document: Document) -> None:
        """An (item, warehouse) level's part in its item's list, and whether it is below zero."""
        if level.on_hand < 0:
            self.negative.add(level)
        elif self.negative:
            self.negative.discard(level)
        assert level.parent is not None  # noqa: S101  # its item
        if level.parent.listed:
            level.parent.listed[level.place] = level.text
        if self.shape.has_reserved:
            self._mark_negative(level, document)

    def _list(self, item: Level) -> list[str]:
        show = self.shape.warehouse.codes.show
        for child in (item.children or {}).values():
            if child.rows:
                child.text = child.text or self.text(child.on_hand)
                item.listed += (f"w:{show(child.idents[1])}", child.text)
                child.place = len(item.listed) - 1
        return item.listed

    def _mark_negative(self, level: Level, document: Document) -> None:
        before, level.negative = level.negative, level.available < 0
        if level.negative:
            document.negative = self.text(level.available)
        document.recovered = before and not level.negative

    def _statuses(self, by_status: dict[Hashable, int]) -> list[str]:
        assert self.shape.status is not None  # noqa: S101  # only then are statuses counted
        show = self.shape.status.codes.show
        return [x for status, n in by_status.items() if n for x in (f"on_hand:{show(status)}", self.text(n))]

    def text(self, n: int) -> str:
        """An amount as readers get it: at the ERP's scale, a double's trailing zeros cut."""
        return decimal_text(n, self.shape.scale, self.shape.approx)
