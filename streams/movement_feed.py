"""Movements on their way to readers: into Redis with the cut they are of, then to their topic, then the offset.

What a worker that died had not told is found by the next in the log: events after the last commit are told again, all
since the snapshot where there was none, with the same ids. Redis leaves out those it has.
"""

from collections.abc import Sequence

import msgspec

from pipeline.adapters.redis import Cut
from pipeline.domain.movements import Movement
from streams.beside import Movements
from streams.ports import EventTopic


class MovementFeed:
    """One source's; does nothing without a movement query."""

    def __init__(self, movements: Movements | None = None, topic: EventTopic | None = None) -> None:
        self._movements, self._topic = movements, topic
        self._untold: list[Movement] = []

    def begin(self, told: int) -> None:
        """A replay begins; `told` is the offset up to which all was told, -1 where that is not known."""
        if self._movements is not None and told >= 0:
            self._movements.told = told

    def take(self) -> Sequence[Movement]:
        """The events of a cut that is being made."""
        if self._movements is None or not self._movements.events:
            return ()
        events, self._movements.events = self._movements.events, []
        return events

    def note(self, cuts: Sequence[Cut]) -> Sequence[Movement]:
        """Cuts that are about to be written; all that is untold with them."""
        self._untold += [m for cut in cuts for m in cut.movements]
        return list(self._untold)

    async def tell(self) -> None:
        """Write to the topic what Redis took."""
        if self._untold and self._topic is not None:
            untold, self._untold = self._untold, []
            await self._topic.tell([(m.row.encode(), msgspec.json.encode(m.fields)) for m in untold])
