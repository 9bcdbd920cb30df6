"""What the publisher needs to know and to be given, beside the log and Redis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.alerts import Alert


@dataclass(frozen=True, slots=True)
class Identity:
    """What served numbers depend on beside the log: another of these means projecting everything anew.

    `log_epoch`: when the log was begun; `epoch`: when this mapping was first applied to it (both Unix seconds), the
    leading part of every version; `begun`: the offset of the record with which the log's epoch begins.
    """

    name: str
    log_epoch: int
    epoch: int
    digest: str
    begun: int = 0


class AlertTopic(Protocol):
    """The compacted alerts topic."""

    async def open(self) -> dict[str, Alert]:
        """The alerts it holds open, by id."""

    async def tell(self, events: list[Alert]) -> None:
        """Write events; returns when they are acknowledged."""


class OrderTopic(Protocol):
    """The compacted topic of orders, by number."""

    async def held(self) -> Mapping[bytes, bytes]:
        """What it says of each order now."""

    async def tell(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write orders, None = gone; returns when all are acknowledged."""


class EventTopic(Protocol):
    """A topic of events, by what they are about."""

    async def tell(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write events; returns when all are acknowledged."""


class Notes(Protocol):
    """What is noted of a source beside its log."""

    async def sweep(self, tables: Mapping[str, int]) -> None:
        """Rows of each table last seen below an offset are gone; returns when it is acknowledged."""

    async def quarantine(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Rows in quarantine by log key, None = right again; returns when all are acknowledged."""
