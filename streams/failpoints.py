"""Places where the worker dies, or stands still, because a test of faults says so.

    ONHAND_FAILPOINT=after-redis:3        killed (SIGKILL) when it comes there the third time
    ONHAND_FAILPOINT=after-redis:3:10     stands still there for 10 seconds, the third time only

A place is before or after a call that stands in the code anyway. Without the variable nothing is wrapped, so a place
costs nothing. With it the worker says so at its start, and it does not start with a value it does not understand.
"""

import asyncio
import functools
import inspect
import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import structlog

from pipeline.adapters.redis import Projection
from pipeline.domain.errors import SettingsError
from streams.app import Alerts, Notes
from streams.fold import StockFold
from streams.transport import Thread

VARIABLE = "ONHAND_FAILPOINT"
BEFORE, AFTER = "before", "after"
PLACES: dict[str, tuple[str, type, str]] = {
    "after-fold": (BEFORE, StockFold, "tidy"),  # a batch is folded, nothing of it sent
    "before-redis": (BEFORE, Projection, "publish"),
    "after-redis": (AFTER, Projection, "publish"),
    "before-call": (BEFORE, Projection, "_send"),  # a round trip: a huge transaction, and a rebuild, take several
    "after-call": (AFTER, Projection, "_send"),
    "before-rebuild": (BEFORE, Projection, "rebuild"),
    "after-rebuild": (AFTER, Projection, "rebuild"),
    "before-alerts": (BEFORE, Alerts, "tell"),
    "after-alerts": (AFTER, Alerts, "tell"),
    "before-notes": (BEFORE, Notes, "sweep"),
    "after-notes": (AFTER, Notes, "sweep"),
    "before-commit": (BEFORE, Thread, "_commit"),
    "after-commit": (AFTER, Thread, "_commit"),
}
log = structlog.get_logger("onhand.worker")


class Failpoint(NamedTuple):
    """A place, which time there counts (from 1), and the seconds to stand still (None = die)."""

    place: str
    time: int
    seconds: float | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """PLACE, PLACE:TIME or PLACE:TIME:SECONDS. Raises SettingsError."""
        form = re.fullmatch(r"([a-z-]+)(?::([1-9]\d{0,5})(?::(\d{1,4}(?:\.\d+)?))?)?", text)
        if form is None or form[1] not in PLACES:
            raise SettingsError(
                f"{VARIABLE}={text}: no such failpoint. It is for tests of faults only: PLACE:TIME or "
                f"PLACE:TIME:SECONDS, PLACE one of {', '.join(PLACES)}",
                f"unset {VARIABLE}",
            )
        return cls(form[1], int(form[2] or 1), float(form[3]) if form[3] else None)


def arm(text: str) -> None:
    """Set in this process the failpoint that `text` says. Raises SettingsError."""
    point = Failpoint.parse(text)
    when, owner, name = PLACES[point.place]
    setattr(owner, name, _wrapped(getattr(owner, name), when, _counted(point)))
    log.warning("a failpoint is set: this worker fails on purpose", failpoint=text)


def _counted(point: Failpoint) -> Callable[[], float]:
    """Called each time at the place: the seconds to stand still, or the process's end."""
    left = point.time

    def reached() -> float:
        nonlocal left
        left -= 1
        if left:
            return 0.0
        log.warning("failpoint reached", failpoint=point.place)
        if point.seconds is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return point.seconds or 0.0

    return reached


def _wrapped(call: Any, when: str, reached: Callable[[], float]) -> Any:
    @functools.wraps(call)
    def plain(*args: Any, **kwargs: Any) -> Any:
        time.sleep(reached() if when == BEFORE else 0)
        found = call(*args, **kwargs)
        time.sleep(reached() if when == AFTER else 0)
        return found

    @functools.wraps(call)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(reached() if when == BEFORE else 0)
        found = await call(*args, **kwargs)
        await asyncio.sleep(reached() if when == AFTER else 0)
        return found

    return awaited if inspect.iscoroutinefunction(call) else plain
