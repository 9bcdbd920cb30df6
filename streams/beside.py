"""What is folded beside stock at a cut: orders after its levels, movements around them."""

from collections.abc import Iterable

from pipeline.domain.documents import Level
from pipeline.domain.movements import Change, Movement, MovementBook
from pipeline.domain.orders import OrderBook
from pipeline.domain.times import iso
from pipeline.query import Engine
from streams.marks import Marks
from streams.place import Place

_UNKNOWN = "a row in quarantine leaves open which orders it concerns"


class Orders:
    """The answer of the order query, and the orders in `book`; `marks` are those of its rows that are degraded."""

    def __init__(self, book: OrderBook, engine: Engine, marks: Marks) -> None:
        self.book, self._view, self._marks = book, engine.views["orders"], marks

    def close(self, place: Place, changed: Iterable[Level], *, is_felt: bool, is_marked: bool) -> None:
        """Take what changed up to a cut: rows, and (item, warehouse) levels.

        `is_felt`: something is in quarantine; `is_marked`: other levels are degraded than before.
        """
        rows, marks = self._view.drain(), self._marks
        self.book.absorb(marks.settle(rows) if is_felt else rows, changed, place.offset, place.time_ms)
        doubt = _UNKNOWN if marks.whole else ""
        if is_marked or self.book.marked is not marks.reasons or self.book.doubt != doubt:
            self.book.mark(marks.reasons, doubt, place.offset, place.time_ms)


class Movements:
    """The answer of the movement query, and the events that came of it after the offset `told`."""

    def __init__(self, book: MovementBook, engine: Engine) -> None:
        self.events: list[Movement] = []
        self.told = -1
        self._book, self._view = book, engine.views["movements"]
        self._open: list[tuple[Change, int]] = []

    def skip(self) -> None:
        """What changed in the rows is no event: a snapshot read them, or they ended without a delete of their own."""
        self._book.take(self._view.drain())

    def begin_after(self, offset: int) -> None:
        """What came before an offset is no event: tables were read again for this mapping, and that was over there."""
        self.events, self.told = [], max(self.told, offset)

    def open(self) -> None:
        """Look at what changed while levels are as they were before it."""
        changes = self._book.take(self._view.drain())
        self._open += [(change, self._book.on_hand(change)) for change in changes]

    def close(self, place: Place, epoch: int) -> None:
        """Tell what changed, now that levels are as they are after it. `epoch`: of the log."""
        changes, self._open = self._open, []
        if place.offset <= self.told:
            return
        at = {"position": str(place.position), "committed": iso(place.time_ms)}
        for n, (change, before) in enumerate(changes):
            ident = f"{epoch:010d}.{place.offset:016d}.{n:06d}"
            fields = {"id": ident, **dict(self._book.fields(change, before)), **at}
            self.events.append(Movement(ident, self._book.row(change), fields))
