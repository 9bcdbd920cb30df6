"""What each scope has to say: a table of named, typed facts. A new scope is a function such as `level_facts`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pipeline.domain.decimals import decimal_text
from pipeline.domain.documents import Level
from pipeline.domain.items import LIMITS, TEXTS, Items
from pipeline.domain.levels import StockLevels
from pipeline.domain.names import NONE
from pipeline.domain.orders import OrderBook
from pipeline.domain.shape import DETAIL, Dimension
from pipeline.query.types import NULL, Type
from pipeline.query.values import Memo

TEXT = Type("text", binary=True)


@dataclass(frozen=True)
class Fact:
    """A named value of a thing `x`. `code`: its Python; `show`: as it is told along with an alert, "" = it is not."""

    type: Type
    code: str
    nullable: bool = False
    show: Callable[[Any], str] | None = None


ABSENT = Fact(NULL, "None", nullable=True)
"""A fact that the pack does not yield: unknown, so no rule holds because of it."""


@dataclass(frozen=True)
class Facts:
    """One scope. `things`: Python of what to look at, given the levels that `changed`; `names`: what the code calls.

    `alive`: Python of whether a thing is there still; `identity`: texts that say what a thing is.
    """

    things: str
    facts: Mapping[str, Fact]
    key: Callable[[Any], str]
    identity: Callable[[Any], dict[str, str]]
    alive: str = "x.rows"
    names: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What is folded of a source; `items` and `orders` where its pack has them."""

    levels: StockLevels
    items: Items | None = None
    orders: OrderBook | None = None


def level_facts(known: Known) -> Facts:
    """An item in a warehouse."""
    levels = known.levels
    return _of_levels(known, "changed", (levels.shape.item, levels.shape.warehouse))


def item_facts(known: Known) -> Facts:
    """An item, all its warehouses together."""
    return _of_levels(known, "dict.fromkeys([x.parent for x in changed])", (known.levels.shape.item,))


def detail_facts(known: Known) -> Facts:
    """What the ERP tells apart within a warehouse: location, lot and so on."""
    shape = known.levels.shape
    things = "[x for x in LEVELS.touched if len(x.idents) > 2]" if shape.detail else "()"
    return _of_levels(known, things, (shape.item, shape.warehouse, *shape.detail))


def _of_levels(known: Known, things: str, dimensions: tuple[Dimension, ...]) -> Facts:
    levels, items = known.levels, known.items
    shape = levels.shape
    number = Type("number", scale=shape.scale)
    amounts = {"on_hand": "x.on_hand", "usable": "x.usable"}
    if shape.has_reserved:
        amounts |= {"reserved": "x.reserved", "available": "(x.usable - x.reserved)"}
    figures = {name: Fact(number, code, show=_amount(levels, name)) for name, code in amounts.items()}
    texts = {d.name: Fact(TEXT, f"CODE[SHOW_{d.name}(x.idents[{i}])]", True) for i, d in enumerate(dimensions)}
    facts = dict.fromkeys(("reserved", "available", *DETAIL, *LIMITS, *TEXTS, "item", "warehouse"), ABSENT)
    names: dict[str, Any] = {f"SHOW_{d.name}": d.codes.show for d in dimensions}
    names |= {"CODE": Memo(code_of), "LEVELS": levels, "LIMITS": items.limits.get if items is not None else None}
    return Facts(
        things, facts | figures | texts | _limits(items), _keyed(dimensions), _identity(dimensions), names=names
    )


def code_of(shown: str) -> str | None:
    """The code that people write, of one as served keys spell it."""
    return unquote(shown.partition(NONE)[0]) or None


def _amount(levels: StockLevels, name: str) -> Callable[[Level], str]:
    return lambda level: levels.write.text(getattr(level, name))


def _limits(items: Items | None) -> dict[str, Fact]:
    if items is None:
        return {}
    found = {}
    for at, name in enumerate(items.names):
        type_ = TEXT if name in TEXTS else Type("number", scale=items.scales[name])
        code = f"(None if (limits := LIMITS(x.idents)) is None else limits[{at}])"
        found[name] = Fact(type_, code, nullable=True, show=_limit(items, at, type_))
    return found


def _limit(items: Items, at: int, type_: Type) -> Callable[[Level], str]:
    def show(level: Level) -> str:
        found = items.limits.get(level.idents)
        value = None if found is None else found[at]
        return "" if value is None else str(value) if type_ is TEXT else decimal_text(value, type_.scale)

    return show


def _keyed(dimensions: tuple[Dimension, ...]) -> Callable[[Level], str]:
    def key(level: Level) -> str:
        return "/".join(in_id(d.codes.show(i)) for d, i in zip(dimensions, level.idents, strict=True))

    return key


def in_id(shown: str) -> str:
    """A code as served keys spell it, with `/` and `*`, which ids use, encoded too."""
    return shown.replace("/", "%2F").replace("*", "%2A")


def _identity(dimensions: tuple[Dimension, ...]) -> Callable[[Level], dict[str, str]]:
    def identity(level: Level) -> dict[str, str]:
        pairs = zip(dimensions, level.idents, strict=True)
        return {d.name: unquote(d.codes.show(i)) for d, i in pairs if i is not None or d.name in ("item", "warehouse")}

    return identity
