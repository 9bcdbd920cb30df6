"""Posted movements: result rows of the movement query, and what became of them with a transaction.

What counts is the set of posted rows. A row that comes into it is `posted`, one that leaves it is `reversed`; one that
says another quantity, item or document from now on is both: so the quantities of all events add up to what is posted.
A code that was changed in the ERP is no event.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.domain.codes import blank
from pipeline.domain.decimals import decimal_text
from pipeline.domain.errors import NotServedError, PackError
from pipeline.domain.levels import Group, StockLevels, ViewLike
from pipeline.domain.names import NONE
from pipeline.domain.shape import Dimension, Shape, dimension, meet
from pipeline.domain.times import day

Key = tuple[Any, ...]
Amounts = tuple[int, ...]
POSTED, REVERSED = "posted", "reversed"


@dataclass(frozen=True, slots=True)
class Change:
    """A row that came into the set of posted ones, or left it. `amounts` as they change what is posted."""

    event: str
    key: Key
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Movement:
    """An event as it is told: `id` tells it from all others, `row` is the ERP's document line that it is about."""

    id: str
    row: str
    fields: Mapping[str, str]

    @property
    def texts(self) -> list[str]:
        """Name, value, name, value; the first two are its id."""
        return [text for field in self.fields.items() for text in field]


@dataclass(frozen=True, slots=True)
class MovementShape:
    """A movement query's columns by role: those that are shown, by name, with where their id and label stand.

    `facts`: where the columns stand that make a row another one; labels are not among them.
    """

    item: Dimension
    warehouse: Dimension
    shown: tuple[tuple[str, int, int], ...]
    facts: tuple[int, ...]
    row: tuple[int, ...]
    posted_at: int | None
    amounts: tuple[tuple[str, int, bool], ...]


def movement_shape(view: ViewLike, stock: Shape) -> MovementShape:
    """The shape of a movement query's result beside `stock`'s. Raises PackError on what is not served."""
    keys = view.keys
    if "org" in keys:
        raise NotServedError("movements.sql yields org, which is not served yet", "leave org out of the query")
    item, warehouse = dimension("item", keys), dimension("warehouse", keys)
    if item is None or warehouse is None:
        raise PackError("movements.sql must yield item and warehouse", "see the pack contract")
    for own, stocks in ((item, stock.item), (warehouse, stock.warehouse)):
        meet("movements.sql", own, stocks)
    names = dict.fromkeys(name.removesuffix("_id") for name in keys if name != "posted")
    found = [d for d in (dimension(name, keys) for name in names) if d is not None]
    at = {d.name: d.at for d in found}
    is_whole = "line_id" in keys
    row = [n for n in ("doc_type", "line", "leg") if n in at] if is_whole else ["doc_type", "doc_no", "line", "leg"]
    return MovementShape(
        item, warehouse, tuple((d.name, d.at, d.label_at) for d in found), tuple(sorted(at.values())),
        tuple(at[name] for name in row if name in at), keys.index("posted") if "posted" in keys else None,
        tuple((a.name, a.scale, a.approx) for a in view.amounts),
    )  # fmt: skip


@dataclass
class MovementBook:
    """The posted rows of one source's movement query beside its stock levels."""

    shape: MovementShape
    levels: StockLevels
    _posted: dict[Key, Amounts] = field(default_factory=dict)

    def take(self, groups: Iterable[Group]) -> list[Change]:
        """Take result rows as they are after a transaction; return what came into the posted ones, and what left."""
        before, after = dict[Key, tuple[Key, Amounts]](), dict[Key, tuple[Key, Amounts]]()
        for key, count, amounts in groups:
            fact = tuple([key[at] for at in self.shape.facts])
            was = self._posted.pop(key, None)
            if was is not None:
                _add(before, fact, key, was)
            if count and self._is_posted(key):
                self._posted[key] = amounts
                _add(after, fact, key, amounts)
        gone = (Change(REVERSED, *_minus(was)) for fact, was in before.items() if not _same(was, after.get(fact)))
        return [*gone, *(Change(POSTED, *now) for fact, now in after.items() if not _same(now, before.get(fact)))]

    def _is_posted(self, key: Key) -> bool:
        return self.shape.posted_at is None or key[self.shape.posted_at] in {1}

    def on_hand(self, change: Change) -> int:
        """What is on hand of the change's item in its warehouse now, at the levels' scale."""
        idents = (self.shape.item.ident(change.key), self.shape.warehouse.ident(change.key))
        level = self.levels.levels.get(idents)
        return 0 if level is None else level.on_hand

    def fields(self, change: Change, before: int) -> Iterator[tuple[str, str]]:
        """What an event says; `before`: what was on hand before the transaction. All of it is of one transaction."""
        key = change.key
        yield "event", change.event
        for name, at, label_at in self.shape.shown:
            label = key[label_at]
            value = f"{NONE}{key[at]}" if label is None and key[at] is not None else label
            value = day(value) if name == "posting_date" else blank(value) if isinstance(value, str) else value
            if value is not None:
                yield name, str(value)
            if at != label_at and key[at] is not None:
                yield f"{name}_id", str(key[at])
        for (name, scale, approx), n in zip(self.shape.amounts, change.amounts, strict=True):
            yield name, decimal_text(n, scale, approx)
        write = self.levels.write.text
        yield from (("on_hand_before", write(before)), ("on_hand_after", write(self.on_hand(change))))

    def row(self, change: Change) -> str:
        """The ERP's document line, told from all others."""
        return "/".join(str(change.key[at]) for at in self.shape.row)


def _add(facts: dict[Key, tuple[Key, Amounts]], fact: Key, key: Key, amounts: Amounts) -> None:
    known = facts.get(fact)
    facts[fact] = (key, amounts if known is None else tuple(a + b for a, b in zip(known[1], amounts, strict=True)))


def _minus(row: tuple[Key, Amounts]) -> tuple[Key, Amounts]:
    return row[0], tuple(-n for n in row[1])


def _same(row: tuple[Key, Amounts], other: tuple[Key, Amounts] | None) -> bool:
    return other is not None and row[1] == other[1]


def movement_book(view: ViewLike, levels: StockLevels) -> MovementBook:
    """An empty book for a compiled movement query beside stock levels."""
    return MovementBook(movement_shape(view, levels.shape), levels)
