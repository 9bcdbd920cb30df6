"""How often the log holds the same change twice: the price of at-least-once, which must show nowhere else."""

from typing import Any

import msgspec

from pipeline.adapters import kafka
from pipeline.settings import Kafka


class _Source(msgspec.Struct):
    lsn: int | None = None


class _Row(msgspec.Struct):
    op: str = ""
    source: _Source | None = None


_decode = msgspec.json.Decoder(_Row).decode


def count_duplicates(broker: Kafka, topic: str, offset: int) -> int:
    """Row changes at `offset` and later whose (table, key, lsn, operation) was there before."""
    seen: set[int] = set()
    found = 0

    def take(record: Any) -> None:
        nonlocal found
        if record.value is None or (change := change_of(record.key, record.value)) is None:
            return
        found += change in seen
        seen.add(change)

    end = kafka.end_offset(broker, topic)
    kafka.replay(broker, topic, take, last=max(1, end - offset))
    return found


def change_of(key: bytes | None, value: bytes) -> int | None:
    """A number that is the same for the same change; None for what is no row."""
    try:
        row = _decode(value)
    except msgspec.DecodeError:
        return None
    if row.op not in {"c", "u", "d", "r"} or row.source is None or row.source.lsn is None:
        return None
    return hash((key, row.source.lsn, row.op))
