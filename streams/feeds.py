"""What goes to topics with a cut, after Redis took it: orders and movements."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.adapters.redis import Cut
from streams.movement_feed import MovementFeed
from streams.order_feed import OrderFeed


@dataclass(frozen=True)
class Feeds:
    """One source's; those of queries that its pack lacks do nothing."""

    orders: OrderFeed = field(default_factory=OrderFeed)
    movements: MovementFeed = field(default_factory=MovementFeed)

    def note(self, cuts: Sequence[Cut]) -> None:
        """Cuts that are about to be written to Redis."""
        self.orders.note(cuts)
        self.movements.note(cuts)

    async def tell(self) -> None:
        """Write what Redis took; returns when it is acknowledged."""
        await self.orders.tell()
        await self.movements.tell()
