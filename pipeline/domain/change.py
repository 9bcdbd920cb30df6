"""What the log says, in our words. Adapters turn a connector's envelope into these; nothing past them knows it.

An *offset* is a place in our log (an int), a *position* is a place in the source (see `Position`).
Times are milliseconds since the Unix epoch, in UTC, by the source's clock.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple


class Position(NamedTuple):
    """A place in the source, ordered by `order`.

    PostgreSQL: the log sequence number, written as `0/1A2B3C`. MariaDB: a GTID's sequence number, written as the GTID,
    `name` (domain-server-sequence); a snapshot's is below them all and is written `file:position`.
    """

    order: int
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"{self.order >> 32:X}/{self.order & 0xFFFFFFFF:X}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The inverse of `str`. Raises ValueError."""
        high, slash, low = text.partition("/")
        if slash:
            return cls((int(high, 16) << 32) + int(low, 16))
        return cls(0 if ":" in text else int(text.rpartition("-")[2]), text)


@dataclass(slots=True)
class RowChange:
    """A row as it is now, or (`row` None) the `pk` of one that is gone. `table` is the engine's fold of that table."""

    table: Any
    pk: Any
    row: Any


@dataclass(slots=True)
class SnapshotRow:
    """A row read by a snapshot. `stage` is Debezium's: first, true, last, .. or incremental.

    `time_ms`: the source's time of the snapshot; `read_ms`: the connector's, when it read this row.
    """

    table: Any
    pk: Any
    row: Any
    stage: str
    position: Position | None
    time_ms: int
    read_ms: int = 0


@dataclass(slots=True)
class Truncated:
    """Every row of a table is gone. `ends`: the position of a TRUNCATE that is a transaction of its own (MariaDB)."""

    table: Any
    ends: Position | None = None
    time_ms: int = 0


@dataclass(slots=True)
class Begin:
    """A source transaction starts (or starts again after the capture was killed)."""


@dataclass(slots=True)
class End:
    """A source transaction is complete: `position` is its commit's, `rows` how many changes it carried."""

    position: Position
    time_ms: int
    rows: int


@dataclass(slots=True)
class Mark:
    """A logical message: commit order up to here is complete at `time_ms`."""

    time_ms: int


@dataclass(slots=True)
class Heartbeat:
    """The capture of a source without marks is alive at `time_ms`, by its own clock (see `quiet`)."""

    time_ms: int


@dataclass(slots=True)
class Control:
    """A record of ours: `epoch`, `day` or `mapping`."""

    kind: str
    value: dict[str, Any]


@dataclass(slots=True)
class Nothing:
    """A record that says nothing about rows, such as a heartbeat."""


@dataclass(slots=True)
class Rejection:
    """A record that cannot be read or mapped: why, and which table if that much is known. Never holds a value."""

    reason: str
    table: str = ""


@dataclass(slots=True)
class Salvaged:
    """What can be told of a rejected record. `table` is the engine's fold of its table, `pk` by the record's key.

    `row`: its columns as the connector sent them; `stage`: of a snapshot's row, "" of any other.
    """

    table: Any = None
    pk: Any = None
    row: dict[str, Any] | None = None
    stage: str = ""
    position: Position | None = None
    time_ms: int = 0


Change = RowChange | SnapshotRow | Truncated | Begin | End | Mark | Heartbeat | Control | Nothing | Rejection
