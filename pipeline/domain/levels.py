"""Stock levels: result rows of the stock query, rolled up to what a reader asks for.

Three kinds of level, each one served document: the detail (item, warehouse, location, lot, ..), the level
(item, warehouse) and the item. A level is the sum of the result rows under it, each remembered with its amounts:
absorbing a row again changes nothing. Amounts are ints at the shape's scale.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.domain import names
from pipeline.domain.decimals import decimal_text
from pipeline.domain.shape import AmountLike, Shape, shape_of

Key = tuple[Any, ...]
Group = tuple[Key, int, tuple[int, ...]]


class ViewLike(Protocol):
    """What a compiled query says of its result rows."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The identity columns and labels, in the order of a row's key."""

    @property
    def amounts(self) -> Sequence[AmountLike]:
        """The summed columns, in the order of a row's amounts."""


@dataclass(slots=True, eq=False)
class Level:
    """One level and what was last shown of it. `offset` and `time_ms`: the END at which it last changed.

    `shown` is its served key, "" before it was served; `text` is its on hand as it is written, "" when it must be
    written anew. `listed`: of an item, what it says of its warehouses (name, on hand, name, on hand, ..), empty when it
    must be listed anew; `place`: of an (item, warehouse) level, where its on hand stands in its item's list.
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
    alert: str = ""
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
    """

    key: str
    offset: int
    time_ms: int
    fields: list[str]
    level: Level | None = None
    negative: str = ""
    recovered: bool = False


class StockLevels:
    """The fold of result rows into levels, and the documents that changed since the last call of `documents`."""

    def __init__(self, prefix: str, shape: Shape, usable: Callable[[Key], bool] | None = None) -> None:
        self.prefix, self.shape, self._usable = prefix, shape, usable
        self.levels: dict[tuple[Hashable, ...], Level] = {}
        self._rows: dict[Key, tuple[tuple[Level, ...], int, int]] = {}
        self._dirty: dict[Level, None] = {}
        self._dimensions = (shape.item, shape.warehouse, *shape.detail)
        self._zero = self.text(0)

    def share(self, shared: Iterable[tuple[str, str]]) -> None:
        """Tell these (dimension, code) apart by id: others have the code too, whose rows never come here."""
        by_name = {d.name: d for d in self._dimensions}
        for name, code in shared:
            if name in by_name:
                by_name[name].codes.share(code)

    def absorb(self, groups: Iterable[Group], offset: int, time_ms: int) -> list[Level]:
        """Take result rows as they are after a transaction; return the (item, warehouse) levels that changed."""
        touched: dict[Level, None] = {}
        for key, count, amounts in groups:
            on_hand, reserved = self.shape.on_hand(amounts), self.shape.reserved(amounts)
            known = self._rows.get(key)
            if known is None:
                if count:
                    self._appear(key, on_hand, reserved, touched)
            elif not count:
                self._vanish(key, known, touched)
            elif known[1] != on_hand or known[2] != reserved:
                self._rows[key] = (known[0], on_hand, reserved)
                self._move(key, known[0], on_hand - known[1], reserved - known[2], touched)
        for level in touched:
            level.offset, level.time_ms = offset, time_ms
        for level in self._renamed():
            level.offset = offset
            touched[level] = None
        self._dirty |= touched
        return [level for level in touched if len(level.idents) == 2]

    def _appear(self, key: Key, on_hand: int, reserved: int, touched: dict[Level, None]) -> None:
        levels = self._levels_of(key)
        for d in self._dimensions:
            d.codes.add(d.ident(key), key[d.label_at])
        for level in levels:
            level.rows += 1
            touched[level] = None
        self._rows[key] = (levels, on_hand, reserved)
        self._move(key, levels, on_hand, reserved, touched)

    def _vanish(self, key: Key, known: tuple[tuple[Level, ...], int, int], touched: dict[Level, None]) -> None:
        levels, on_hand, reserved = known
        del self._rows[key]
        self._move(key, levels, -on_hand, -reserved, touched)
        for d in self._dimensions:
            d.codes.remove(d.ident(key), key[d.label_at])
        for level in levels:
            level.rows -= 1
            touched[level] = None

    def _move(
        self, key: Key, levels: tuple[Level, ...], on_hand: int, reserved: int, touched: dict[Level, None]
    ) -> None:
        usable = on_hand if self._usable is None or self._usable(key) else 0
        for level in levels:
            level.on_hand += on_hand
            level.text = ""
            level.usable += usable
            level.reserved += reserved
            touched[level] = None
        if self.shape.status is not None:
            status = self.shape.status.ident(key)
            for level in levels:
                if level.by_status is None:
                    level.by_status = {}
                level.by_status[status] = level.by_status.get(status, 0) + on_hand

    def _levels_of(self, key: Key) -> tuple[Level, ...]:
        item, warehouse = self.shape.item.ident(key), self.shape.warehouse.ident(key)
        total = self._level((item,), None)
        level = self._level((item, warehouse), total)
        if not self.shape.detail:
            return (level, total)
        return (self._level((item, warehouse, *(d.ident(key) for d in self.shape.detail)), level), level, total)

    def _level(self, idents: tuple[Hashable, ...], parent: Level | None) -> Level:
        level = self.levels.get(idents)
        if level is None:
            level = self.levels[idents] = Level(idents, parent=parent)
            if parent is not None and len(idents) == 2:
                parent.children = parent.children or {}
                parent.children[idents[1]] = level
                parent.listed.clear()
        return level

    # -- what a reader sees

    def documents(self) -> list[Document]:
        """The documents that changed since the last call; a renamed or vanished level also ends its old key."""
        out: list[Document] = []
        ended = False
        items = [level for level in self._dirty if level.parent is None]
        # an item lists its warehouses' quantities as they were last written, so it comes after them
        for level in (*(level for level in self._dirty if level.parent is not None), *items):
            if level.shown and level.rows and not level.renamed:
                out.append(self._document(level))
            else:
                ended = self._transition(level, out) or ended
        self._dirty.clear()
        return _without_reborn(out) if ended else out

    def all_documents(self) -> Iterator[Document]:
        """Every live document, changed or not; what changed until now counts as shown."""
        self.documents()
        return (self._document(level) for level in self.levels.values())

    @property
    def changes(self) -> int:
        """How many levels changed since the last `documents`."""
        return len(self._dirty)

    def _renamed(self) -> list[Level]:
        """The levels that go by another code from now on, and the items that list them."""
        renamed = [(i, d.codes.settle()) for i, d in enumerate(self._dimensions) if d.codes.stale]
        if not any(idents for _, idents in renamed):
            return []
        # rare (a code was changed in the ERP), so a pass over all levels is cheaper than an index by id
        found = [
            level
            for level in self.levels.values()
            if any(i < len(level.idents) and level.idents[i] in idents for i, idents in renamed)
        ]
        parents = [level.parent for level in found if level.parent is not None]
        for level in found:
            level.renamed = True
        for parent in parents:
            parent.listed.clear()
        return found + parents

    def _transition(self, level: Level, out: list[Document]) -> bool:
        """A level that appears, vanishes or goes by another code; True when a key ended."""
        key = self.key(level) if level.rows else ""
        ended = level.shown not in ("", key)
        if ended:
            recovered, level.negative = level.negative, False
            out.append(Document(level.shown, level.offset, level.time_ms, [], level, recovered=recovered))
        level.shown, level.renamed = key, False
        if level.rows:
            out.append(self._document(level))
        else:
            self._drop(level)
        return ended

    def _drop(self, level: Level) -> None:
        del self.levels[level.idents]
        if level.parent is not None and level.parent.children and len(level.idents) == 2:
            del level.parent.children[level.idents[1]]
            level.parent.listed.clear()

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

    def _document(self, level: Level) -> Document:
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
        document = Document(level.shown, level.offset, level.time_ms, fields, level)
        if len(level.idents) == 2:
            self._note(level, document)
        return document

    def _note(self, level: Level, document: Document) -> None:
        """An (item, warehouse) level's part in its item's list, and whether it is below zero."""
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


def _without_reborn(documents: list[Document]) -> list[Document]:
    """A key that ends and begins in one go (two codes swapped) is shown as it is, not as ended."""
    live = {d.key for d in documents if d.fields}
    return [d for d in documents if d.fields or d.key not in live]


def stock_levels(
    prefix: str, view: ViewLike, reserved: str, usable: Callable[[Key], bool] | None = None
) -> StockLevels:
    """Empty levels for a compiled stock query; `reserved` as pack.toml says it."""
    return StockLevels(prefix, shape_of(view.keys, view.amounts, reserved), usable)


def expected_documents(
    prefix: str,
    view: ViewLike,
    reserved: str,
    groups: Iterable[Group],
    usable: Callable[[Key], bool] | None = None,
    *,
    shared: Iterable[tuple[str, str]] = (),
) -> dict[str, dict[str, str]]:
    """What should be served for these result rows: key -> fields. `verify` puts the ERP's own answer through this.

    `shared`: (dimension, code) that others have too, whose rows are not among `groups`.
    """
    levels = stock_levels(prefix, view, reserved, usable)
    levels.share(shared)
    levels.absorb(groups, 0, 0)
    return {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in levels.documents()}
