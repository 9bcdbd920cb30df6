"""An event loop without a clock or a socket: time passes only when nothing else can happen."""

import asyncio
from typing import Any


class StandstillError(Exception):
    """Nothing is ready and nothing is scheduled."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Callbacks run in asyncio's own order; a sleep takes no time at all. `time()` begins with 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector: Any = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What the loop calls to wait."""
        if timeout is None:
            raise StandstillError
        self._now += timeout
        return []

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""
