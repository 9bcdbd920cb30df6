"""Lines of orders: what an order query's result rows say of them, and how readers see them."""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from pipeline.domain import names
from pipeline.domain.codes import blank
from pipeline.domain.decimals import decimal_text
from pipeline.domain.documents import Document
from pipeline.domain.errors import NotServedError, PackError
from pipeline.domain.shape import AmountLike, Dimension, Shape, dimension, meet
from pipeline.domain.times import day

Key = tuple[Any, ...]
RELEASED = "released"
_OF_LINE = ("variant", "location", "lot", "uom")
_OF_ORDER = ("product", "department", "order_type")
_NEVER = "9999-99-99"


class ViewLike(Protocol):
    """What a compiled query says of its result rows."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that are no amounts, in the order of a row's key."""

    @property
    def amounts(self) -> Sequence[AmountLike]:
        """The summed columns, in the order of a row's amounts."""


@dataclass(frozen=True, slots=True)
class OrderShape:
    """An order query's columns by role. `texts`: attributes that are shown as they are, and where they stand.

    `factors` bring each amount to `scale`, `stock_factor` a stock level's.
    """

    order: Dimension
    line: Dimension
    item: Dimension
    warehouse: Dimension | None
    texts: tuple[tuple[str, int], ...]
    status_at: int | None
    due_at: int | None
    amounts: tuple[str, ...]
    factors: tuple[int, ...]
    scale: int
    approx: bool
    stock_factor: int

    @property
    def shown(self) -> tuple[Dimension, ...]:
        """The columns that are shown by their codes."""
        return (self.order, self.item) if self.warehouse is None else (self.order, self.item, self.warehouse)


def order_shape(view: ViewLike, stock: Shape) -> OrderShape:
    """The shape of an order query's result beside `stock`'s. Raises PackError on what is not served."""
    keys = view.keys
    if "org" in keys:
        raise NotServedError("orders.sql yields org, which is not served yet", "leave org out of the query")
    order, line, item = (_needed(name, keys) for name in ("order_no", "line", "item"))
    warehouse = dimension("warehouse", keys)
    for own, stocks in ((item, stock.item), (warehouse, stock.warehouse)):
        if own is not None:
            meet("orders.sql", own, stocks)
    scale = max(stock.scale, *(a.scale for a in view.amounts))
    at = {name: i for i, name in enumerate(keys)}
    return OrderShape(
        order, line, item, warehouse,
        tuple((name, at[name]) for name in (*_OF_LINE, *_OF_ORDER) if name in at),
        at.get("status"), at.get("due"), tuple(a.name for a in view.amounts),
        tuple(10 ** (scale - a.scale) for a in view.amounts), scale,
        stock.approx or any(a.approx for a in view.amounts), 10 ** (scale - stock.scale),
    )  # fmt: skip


def _needed(name: str, keys: Sequence[str]) -> Dimension:
    found = dimension(name, keys)
    if found is None:
        raise PackError(f"orders.sql must yield {name}", "see the pack contract")
    return found


@dataclass(slots=True, eq=False)
class Order:
    """An order and what was last shown of it: `shown` is its served key, "" before it was served.

    `offset` and `time_ms`: the END at which anything in it last changed.
    """

    ident: Hashable
    lines: "dict[Hashable, Line]" = field(default_factory=dict)
    offset: int = 0
    time_ms: int = 0
    shown: str = ""


@dataclass(slots=True, eq=False)
class Line:
    """A line: its result rows, and what follows from them. Amounts are ints at the shape's scale.

    `rank`: its place in the queue for stock. `own`: what the ERP reserved for it. `short`: what of `open` there is no
    stock for. `text`: as it is written, "" when it must be written anew. `conflict`: why its attributes are in doubt.
    `alert`: what the alerts know of it.
    """

    order: Order
    ident: Hashable
    rows: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    item: Hashable = None
    warehouse: Hashable = None
    label: str = ""
    status: str | None = None
    due: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)
    rank: tuple[Any, ...] = ()
    open: int = 0
    over: int = 0
    own: int = 0
    short: int = 0
    conflict: str = ""
    degraded: str = ""
    text: str = ""
    alert: Any = None

    def refresh(self, shape: OrderShape) -> None:
        """Derive everything but `short` and `degraded` from the rows; there is at least one."""
        self.text = self.conflict = ""
        self.item = self._one(shape.item.name, map(shape.item.ident, self.rows))
        self.warehouse = self._one("warehouse", map(shape.warehouse.ident, self.rows)) if shape.warehouse else None
        label = self._at("line", shape.line.label_at)
        self.label = f"{names.NONE}{self.ident}" if label is None else str(label)
        self.status = None if shape.status_at is None else self._at("status", shape.status_at)
        self.due = None if shape.due_at is None else self._one("due", (day(key[shape.due_at]) for key in self.rows))
        found = ((name, self._at(name, at)) for name, at in shape.texts)
        self.texts = {name: str(value) for name, value in found if value is not None}
        sums = (sum(column) for column in zip(*self.rows.values(), strict=True))
        self.amounts = {n: s * f for n, s, f in zip(shape.amounts, sums, shape.factors, strict=True)}
        self._derive(is_released=shape.status_at is None or self.status == RELEASED)
        self.rank = (self.due or _NEVER, _rank(self.order.ident), _rank(self.ident))

    def _derive(self, *, is_released: bool) -> None:
        required, issued = self.amounts["required"], self.amounts["issued"]
        self.open = max(0, required - issued) if is_released else 0
        self.over = max(0, issued - self.amounts.get("issue_limit", required))
        self.own = self.amounts.get("reserved", 0)

    @property
    def covered(self) -> int:
        """Percent of what is required that was issued, whole ones only."""
        required, issued = self.amounts["required"], self.amounts["issued"]
        return 100 if required <= issued else max(0, issued) * 100 // required

    def _at(self, name: str, at: int) -> Any:
        return self._one(name, (blank(key[at]) if isinstance(key[at], str) else key[at] for key in self.rows))

    def _one(self, name: str, values: Iterable[Any]) -> Any:
        """The single value of an attribute; of several the smallest, and the line says so."""
        there = {value for value in values if value is not None}
        if len(there) > 1:
            self.conflict = self.conflict or f"{name} has several values"
        return min(there, default=None)


def _rank(ident: Hashable) -> tuple[int, int, str]:
    return (0, ident, "") if isinstance(ident, int) else (1, 0, str(ident))


class OrderWriter:
    """Writes the documents of one source's orders."""

    def __init__(self, prefix: str, shape: OrderShape) -> None:
        self.prefix, self.shape = prefix, shape

    def key(self, order: Order) -> str:
        """The Redis key of an order."""
        return names.order_key(self.prefix, self.shape.order.codes.show(order.ident))

    def document(self, order: Order) -> Document:
        """A live order as it is now."""
        lines = sorted(order.lines.values(), key=lambda line: (_natural(line.label), _rank(line.ident)))
        fields = ["order_no", unquote(self.shape.order.codes.show(order.ident))]
        for name, value in self._head(lines):
            fields += (name, value) if value else ()
        for name in ("open", "short", "over"):
            fields += (f"lines_{name}", str(sum(getattr(line, name) > 0 for line in lines)))
        fields += ("lines", f"[{','.join(line.text or self._write(line) for line in lines)}]")
        if degraded := next((line.degraded for line in lines if line.degraded), ""):
            fields += ("degraded", degraded)
        return Document(order.shown, order.offset, order.time_ms, fields, order=True)

    def _head(self, lines: Sequence[Line]) -> Iterable[tuple[str, str | None]]:
        statuses = {line.status for line in lines if line.status}
        yield "status", RELEASED if RELEASED in statuses else min(statuses, default=None)
        yield "due", min((line.due for line in lines if line.due), default=None)
        for name in _OF_ORDER:
            yield name, min((line.texts[name] for line in lines if name in line.texts), default=None)

    def _write(self, line: Line) -> str:
        said = {"line": line.label, "item": unquote(self.shape.item.codes.show(line.item))}
        if self.shape.warehouse is not None:
            said["warehouse"] = unquote(self.shape.warehouse.codes.show(line.warehouse))
        said |= {name: line.texts[name] for name in _OF_LINE if name in line.texts}
        said |= {name: value for name, value in (("status", line.status), ("due", line.due)) if value}
        figures = {**line.amounts, "open": line.open, "over": line.over, "short": line.short}
        said |= {name: decimal_text(n, self.shape.scale, self.shape.approx) for name, n in figures.items()}
        said["covered"] = str(line.covered)
        if line.degraded:
            said["degraded"] = line.degraded
        line.text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return line.text


def _natural(label: str) -> tuple[int, int, str]:
    return (0, int(label), "") if label.isascii() and label.isdigit() else (1, 0, label)
