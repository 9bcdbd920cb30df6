"""A record of the log, and a place in it."""

from typing import NamedTuple, Protocol

from pipeline.domain.change import Position


class Record(Protocol):
    """A record as a Kafka client fetched it."""

    key: bytes | None
    value: bytes | None
    offset: int


class Place(NamedTuple):
    """A consistent cut: the offset of its END, and the source's position and commit time there.

    `quiet`: there was none, and the source was found idle.
    """

    offset: int
    position: Position
    time_ms: int
    quiet: bool = False
