"""Stock levels: result rows of the stock query, rolled up to what a reader asks for.

Three kinds of level, each one served document: the detail (item, warehouse, location, lot, ..), the level
(item, warehouse) and the item. A level is the sum of the result rows under it (ints at the shape's scale), each
remembered with its amounts: absorbing a row again changes nothing.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pipeline.domain.documents import Document, DocumentWriter, Level
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


class StockLevels:
    """The fold of result rows into levels, and the documents that changed since the last call of `documents`."""

    def __init__(self, prefix: str, shape: Shape, usable: Callable[[Key], bool] | None = None) -> None:
        self.shape, self._usable = shape, usable
        self.write = DocumentWriter(prefix, shape)
        self.levels: dict[tuple[Hashable, ...], Level] = {}
        self._rows: dict[Key, tuple[tuple[Level, ...], int, int]] = {}
        self._dirty: dict[Level, None] = {}
        self.marked: Mapping[Key, str] = {}
        """The result rows whose levels are degraded, and why."""
        self._degraded: dict[Level, str] = {}
        self.touched: Iterable[Level] = ()
        """The levels of every kind that the last call of `absorb` changed."""
        self._dimensions = (shape.item, shape.warehouse, *shape.detail)

    def share(self, shared: Iterable[tuple[str, str]]) -> None:
        """Tell these (dimension, code) apart by id: others have the code too, whose rows never come here."""
        by_name = {d.name: d for d in self._dimensions}
        for name, code in shared:
            if name in by_name:
                by_name[name].codes.share(code)

    def absorb(self, groups: Iterable[Group], offset: int, time_ms: int) -> list[Level]:
        """Take result rows as they are after a transaction; return the (item, warehouse) levels that changed."""
        touched: dict[Level, None] = {}
        gone: list[Key] = []  # taken away last: a label that changed everywhere is not taken down and put up again
        for key, count, amounts in groups:
            on_hand, reserved = self.shape.on_hand(amounts), self.shape.reserved(amounts)
            known = self._rows.get(key)
            if not count:
                gone.append(key)
            elif known is None:
                self._appear(key, on_hand, reserved, touched)
            elif known[1] != on_hand or known[2] != reserved:
                self._rows[key] = (known[0], on_hand, reserved)
                self._move(key, known[0], on_hand - known[1], reserved - known[2], touched)
        for key in gone:
            if known := self._rows.pop(key, None):
                self._vanish(key, *known, touched)
        for level in touched:
            level.offset, level.time_ms = offset, time_ms
        for level in self._renamed():
            level.offset, level.time_ms = offset, time_ms
            touched[level] = None
        self._dirty |= touched
        self.touched = touched
        return [level for level in touched if len(level.idents) == 2]

    def mark(self, reasons: Mapping[Key, str], offset: int, time_ms: int) -> None:
        """The levels of these result rows, which were all absorbed, are degraded, each for the first reason given."""
        before, now = self._degraded, dict[Level, str]()
        for key, reason in reasons.items():
            for level in self._rows[key][0]:
                now.setdefault(level, reason)
        for level in before.keys() | now.keys():
            if level.degraded != now.get(level, ""):
                level.degraded, level.offset, level.time_ms = now.get(level, ""), offset, time_ms
                self._dirty[level] = None
        self.marked, self._degraded = reasons, now

    def _appear(self, key: Key, on_hand: int, reserved: int, touched: dict[Level, None]) -> None:
        levels = self._levels_of(tuple([d.ident(key) for d in self._dimensions]))
        for d, ident in zip(self._dimensions, levels[0].idents, strict=True):
            d.codes.add(ident, key[d.label_at])
        for level in levels:
            if not level.rows:
                self._revive(level)
            level.rows += 1
            touched[level] = None
        self._rows[key] = (levels, on_hand, reserved)
        self._move(key, levels, on_hand, reserved, touched)

    @staticmethod
    def _revive(level: Level) -> None:
        """A level that was empty may have missed that it goes by another code now."""
        level.renamed = level.shown != ""
        if level.parent is not None:
            level.parent.listed.clear()

    def _vanish(
        self, key: Key, levels: tuple[Level, ...], on_hand: int, reserved: int, touched: dict[Level, None]
    ) -> None:
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

    def _levels_of(self, idents: tuple[Hashable, ...]) -> tuple[Level, ...]:
        total = self._level(idents[:1], None)
        level = self._level(idents[:2], total)
        return (self._level(idents, level), level, total) if self.shape.detail else (level, total)

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
        out, ended = list[Document](), False
        items = [level for level in self._dirty if level.parent is None]
        # an item lists its warehouses' quantities as they were last written, so it comes after them
        for level in (*(level for level in self._dirty if level.parent is not None), *items):
            if level.shown and level.rows and not level.renamed:
                out.append(self.write.document(level))
            else:
                ended = self._transition(level, out) or ended
        self._dirty.clear()
        return _without_reborn(out) if ended else out

    def all_documents(self) -> Iterator[Document]:
        """Every live document, changed or not; what changed until now counts as shown."""
        self.documents()
        return (self.write.document(level) for level in self.levels.values())

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
        live = [level for level in self.levels.values() if level.rows]
        hit = (x for i, idents in renamed for x in live if i < len(x.idents) and x.idents[i] in idents)
        found = dict.fromkeys(hit)
        parents = [level.parent for level in found if level.parent is not None]
        for level in found:
            level.renamed = True
        for parent in parents:
            parent.listed.clear()
        return [*found, *parents]

    def _transition(self, level: Level, out: list[Document]) -> bool:
        """A level that appears, vanishes or goes by another code; True when a key ended."""
        key = self.write.key(level) if level.rows else ""
        ended = level.shown not in ("", key)
        if ended:
            recovered, level.negative = level.negative, False
            out.append(Document(level.shown, level.offset, level.time_ms, [], level, recovered=recovered))
        level.shown, level.renamed = key, False
        if level.rows:
            out.append(self.write.document(level))
        else:
            self._drop(level)
        return ended

    def _drop(self, level: Level) -> None:
        self.write.negative.discard(level)
        del self.levels[level.idents]
        if level.parent is not None and level.parent.children and len(level.idents) == 2:
            del level.parent.children[level.idents[1]]
            level.parent.listed.clear()


def _without_reborn(documents: list[Document]) -> list[Document]:
    """A key that ends and begins in one go (two codes swapped) is shown as it is, not as ended."""
    live = {d.key: d for d in documents if d.fields}
    for key in {d.key for d in documents if d.recovered} & live.keys():
        live[key].recovered = not live[key].negative  # shown by the level that had the key, taken back by the heir
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
    marked: Mapping[Key, str] | None = None,
) -> dict[str, dict[str, str]]:
    """What should be served for these result rows: key -> fields. `verify` puts the ERP's own answer through this.

    `shared`: (dimension, code) that others have too, whose rows are not among `groups`; `marked`: those of them whose
    levels are degraded, and why.
    """
    levels = stock_levels(prefix, view, reserved, usable)
    levels.share(shared)
    levels.absorb(groups, 0, 0)
    levels.mark(marked or {}, 0, 0)
    return {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in levels.documents()}
