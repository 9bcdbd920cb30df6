"""Orders folded beside stock: at each cut, after its levels."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.domain.documents import Level
from pipeline.domain.orders import OrderBook
from pipeline.query import View
from streams.marks import Marks

if TYPE_CHECKING:
    from streams.fold import Place

_UNKNOWN = "a row in quarantine leaves open which orders it concerns"


class Coverage:
    """The answer of the order query, and the orders in `book`; `marks` are those of its rows that are degraded."""

    def __init__(self, book: OrderBook, view: View, marks: Marks) -> None:
        self.book, self._view, self._marks = book, view, marks

    def close(self, place: "Place", changed: Iterable[Level], *, is_felt: bool, is_marked: bool) -> None:
        """Take what changed up to a cut: rows, and (item, warehouse) levels.

        `is_felt`: something is in quarantine; `is_marked`: other levels are degraded than before.
        """
        rows, marks = self._view.drain(), self._marks
        self.book.absorb(marks.settle(rows) if is_felt else rows, changed, place.offset, place.time_ms)
        doubt = _UNKNOWN if marks.whole else ""
        if is_marked or self.book.marked is not marks.reasons or self.book.doubt != doubt:
            self.book.mark(marks.reasons, doubt, place.offset, place.time_ms)
