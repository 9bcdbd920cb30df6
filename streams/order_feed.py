"""The orders topic: what Redis holds of each order, told after Redis took it; at a start it is made equal again."""

from collections.abc import Iterable

import msgspec

from pipeline.adapters.redis import Cut, version
from pipeline.domain.documents import Document
from pipeline.domain.names import order_of
from pipeline.domain.orders import OrderBook
from pipeline.domain.times import iso
from streams.ports import OrderTopic


class OrderFeed:
    """Keeps the topic of the orders in `book`; does nothing without one. `epoch` leads the versions that are served."""

    def __init__(self, book: OrderBook | None = None, topic: OrderTopic | None = None, epoch: int = 0) -> None:
        self._book, self._topic, self._epoch = book, topic, epoch
        self._untold: dict[bytes, bytes | None] = {}

    def note(self, cuts: Iterable[Cut]) -> None:
        """Cuts that are about to be written to Redis."""
        if self._book is not None:
            self._untold |= dict(self._record(d) for cut in cuts for d in cut.documents if d.order)

    async def reconcile(self) -> None:
        """Find what the topic lacks of the orders shown by now: a worker may have died before it told them."""
        if self._book is None or self._topic is None:
            return
        held = await self._topic.held()
        shown = dict(self._record(self._book.write.document(o)) for o in self._book.orders.values() if o.shown)
        self._untold = {key: value for key, value in shown.items() if held.get(key) != value}
        self._untold |= dict.fromkeys(held.keys() - shown.keys())

    async def tell(self) -> None:
        """Write what Redis took."""
        if self._untold and self._topic is not None:
            untold, self._untold = self._untold, {}
            await self._topic.tell(list(untold.items()))

    def _record(self, d: Document) -> tuple[bytes, bytes | None]:
        assert self._book is not None  # noqa: S101  # it has the order
        key = (order_of(self._book.write.prefix, d.key) or "").encode()
        if not d.fields:
            return key, None
        fields: dict[str, object] = dict(zip(d.fields[::2], d.fields[1::2], strict=True))
        lines = msgspec.Raw(str(fields.pop("lines")).encode())
        at = {"v": version(self._epoch, d.offset), "changed": iso(d.time_ms)}
        return key, msgspec.json.encode(fields | {"lines": lines} | at)
