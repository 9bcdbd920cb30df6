"""Order coverage: result rows of the order query folded into orders, and what stock is there for their open lines.

A line is the sum of its result rows, each remembered: absorbing a row again changes nothing. What a line is short by
depends on the stock level that it draws on and on the lines before it, so it is computed anew where either changed.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping

from pipeline.domain.documents import Document, Level
from pipeline.domain.levels import Group, StockLevels
from pipeline.domain.order_lines import Key, Line, Order, OrderShape, OrderWriter, ViewLike, order_shape

Place = tuple[Hashable, Hashable]


class OrderBook:
    """The fold of result rows into orders, and the documents that changed since the last call of `documents`."""

    def __init__(self, prefix: str, shape: OrderShape, levels: StockLevels) -> None:
        self.shape, self._levels = shape, levels
        self.write = OrderWriter(prefix, shape)
        self.orders: dict[Hashable, Order] = {}
        self._queues = Queues(levels, shape.stock_factor)
        self._dirty: dict[Order, None] = {}
        self.marked: Mapping[Key, str] = {}
        """The result rows whose lines are degraded, and why; `doubt`: why all lines are, "" where they are not."""
        self.doubt = ""
        self.touched: list[Line] = []
        """The lines that the last call of `absorb` changed, and those beside them; those that are gone, too."""
        self.today, self._is_new_day = "", False

    def turn(self, today: str) -> None:
        """A day begins, which all lines are to be looked at for."""
        self.today, self._is_new_day = today, True

    def absorb(self, groups: Iterable[Group], changed: Iterable[Level], offset: int, time_ms: int) -> None:
        """Take result rows as they are after a transaction, and the (item, warehouse) levels that changed with it."""
        touched: dict[Order, None] = {}
        gone: list[Line] = []
        for line in self._take(groups):
            self._queues.leave(line)
            touched[line.order] = None
            if line.rows:
                line.refresh(self.shape)
                line.degraded = self._reason(line)
                self._queues.join(line)
            else:
                del line.order.lines[line.ident]
                gone.append(line)
        touched.update(dict.fromkeys(line.order for line in self._queues.settle(changed)))
        touched.update(dict.fromkeys(self._renamed()))
        self._touch(touched, offset, time_ms)
        concerned = self.orders.values() if self._is_new_day else touched
        self.touched, self._is_new_day = [*gone, *(x for order in concerned for x in order.lines.values())], False

    def _take(self, groups: Iterable[Group]) -> dict[Line, None]:
        """The lines whose rows changed."""
        lines: dict[Line, None] = {}
        gone = list[Key]()  # taken away last: a label that changed is not taken down and put up again
        for key, count, amounts in groups:
            if not count:
                gone.append(key)
                continue
            line = self._line(key)
            if line.rows.get(key) != amounts:
                if key not in line.rows:
                    for d in self.shape.shown:
                        d.codes.add(d.ident(key), key[d.label_at])
                line.rows[key] = amounts
                lines[line] = None
        for key in gone:
            order = self.orders.get(self.shape.order.ident(key))
            found = order.lines.get(self.shape.line.ident(key)) if order is not None else None
            if found is not None and found.rows.pop(key, None) is not None:
                for d in self.shape.shown:
                    d.codes.remove(d.ident(key), key[d.label_at])
                lines[found] = None
        return lines

    def _line(self, key: Key) -> Line:
        ident = self.shape.order.ident(key)
        order = self.orders.get(ident)
        if order is None:
            order = self.orders[ident] = Order(ident)
        ident = self.shape.line.ident(key)
        if ident not in order.lines:
            order.lines[ident] = Line(order, ident)
        return order.lines[ident]

    def _renamed(self) -> Iterator[Order]:
        """The orders that show another code from now on."""
        codes = [d.codes for d in self.shape.shown]
        renamed = [c.settle() if c.stale else set[Hashable]() for c in codes]
        if not any(renamed):
            return
        for order in self.orders.values():  # rare, as with levels
            if order.ident in renamed[0]:
                yield order
            for line in order.lines.values():
                if line.item in renamed[1] or (self.shape.warehouse and line.warehouse in renamed[2]):
                    line.text = ""
                    yield order

    def _touch(self, orders: Iterable[Order], offset: int, time_ms: int) -> None:
        for order in orders:
            order.offset, order.time_ms = offset, time_ms
            self._dirty[order] = None

    # -- what may be wrong

    def mark(self, reasons: Mapping[Key, str], doubt: str, offset: int, time_ms: int) -> None:
        """The lines of these result rows are degraded, or all of them for `doubt`, and those of degraded levels."""
        self.marked, self.doubt = reasons, doubt
        changed = dict[Order, None]()
        for order in self.orders.values():
            for line in order.lines.values():
                reason = self._reason(line)
                if reason != line.degraded:
                    line.degraded, line.text, changed[order] = reason, "", None
        self._touch(changed, offset, time_ms)

    def _reason(self, line: Line) -> str:
        own = next((self.marked[key] for key in line.rows if key in self.marked), "") if self.marked else ""
        level = self._queues.level(line) if line.open else None
        return own or line.conflict or (level.degraded if level is not None else "") or self.doubt

    # -- what a reader sees

    @property
    def changes(self) -> int:
        """How many orders changed since the last `documents`."""
        return len(self._dirty)

    def documents(self) -> list[Document]:
        """The documents that changed since the last call; a renamed or vanished order also ends its old key."""
        live, ended = dict[str, Document](), list[Document]()
        for order in self._dirty:
            key = self.write.key(order) if order.lines else ""
            if order.shown not in ("", key):
                ended.append(Document(order.shown, order.offset, order.time_ms, [], order=True))
            order.shown = key
            if key:
                live[key] = self.write.document(order)
            else:
                del self.orders[order.ident]
        self._dirty.clear()
        return [*live.values(), *(d for d in ended if d.key not in live)]  # two that swapped numbers are both there

    def all_documents(self) -> Iterator[Document]:
        """Every live document, changed or not; what changed until now counts as shown."""
        self.documents()
        return (self.write.document(order) for order in self.orders.values())


class Queues:
    """The open lines of each item and warehouse, earliest first, and the stock there is for them.

    Where the ERP reserves, a line is covered by what is available and by its own reservation; where it does not, by
    what is usable and not open in lines before it.
    """

    def __init__(self, levels: StockLevels, factor: int) -> None:
        self._levels, self._factor, self._is_reserved = levels, factor, levels.shape.has_reserved
        self._lines: dict[Hashable, dict[Hashable, list[Line]]] = {}
        self._stale: dict[Place, None] = {}

    def join(self, line: Line) -> None:
        """A line as it is now; one that is not open waits for nothing."""
        if line.open:
            self._lines.setdefault(line.item, {}).setdefault(line.warehouse, []).append(line)
            self._stale[line.item, line.warehouse] = None
        else:
            line.short = 0

    def leave(self, line: Line) -> None:
        """A line as it was when it joined: to be called before it changes."""
        if line.open:
            waiting = self._lines[line.item]
            waiting[line.warehouse].remove(line)
            self._stale[line.item, line.warehouse] = None
            if not waiting[line.warehouse]:
                del waiting[line.warehouse]
            if not waiting:
                del self._lines[line.item]

    def level(self, line: Line) -> Level | None:
        """The stock that a line draws on: without a warehouse, the item's in all of them."""
        idents = (line.item,) if line.warehouse is None else (line.item, line.warehouse)
        return self._levels.levels.get(idents)

    def settle(self, changed: Iterable[Level]) -> list[Line]:
        """The lines that are short by another quantity, now that these (item, warehouse) levels changed."""
        places, self._stale = self._stale, {}
        if self._lines:
            places.update(((level.idents[0], level.idents[1]), None) for level in changed)
        found = list[Line]()
        for item, warehouse in places:
            waiting = self._lines.get(item)
            if waiting is not None:
                found += self._settle(waiting.get(warehouse, [])) if warehouse is not None else ()
        for item in dict.fromkeys(
            item for item, _ in places
        ):  # what may come from anywhere comes after all that is due before it
            waiting = self._lines.get(item)
            if waiting is not None and None in waiting:
                found += self._settle([line for lines in waiting.values() for line in lines], None)
        return found

    def _settle(self, lines: list[Line], *only: None) -> Iterator[Line]:
        """Compute anew what lines are short by, or of those only the ones without a warehouse."""
        lines.sort(key=lambda line: line.rank)
        before = 0
        for line in lines:
            if not only or line.warehouse is None:
                short = max(0, line.open - max(0, self._for(line, before)))
                if short != line.short:
                    line.short, line.text = short, ""
                    yield line
            before += line.open

    def _for(self, line: Line, before: int) -> int:
        level = self.level(line)
        if self._is_reserved:
            return (level.available * self._factor if level is not None else 0) + line.own
        return (level.usable * self._factor if level is not None else 0) - before


def order_book(prefix: str, view: ViewLike, levels: StockLevels) -> OrderBook:
    """An empty book for a compiled order query beside stock levels."""
    return OrderBook(prefix, order_shape(view, levels.shape), levels)


def expected_orders(
    levels: StockLevels, view: ViewLike, stock: Iterable[Group], groups: Iterable[Group]
) -> dict[str, dict[str, str]]:
    """What should be served of orders for the result rows of both queries: key -> fields. `levels` are empty before."""
    book = order_book(levels.write.prefix, view, levels)
    book.absorb(groups, levels.absorb(stock, 0, 0), 0, 0)
    return {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in book.documents()}
