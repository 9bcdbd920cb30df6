"""The records that we write into a source's log ourselves: its epoch, its day, its mapping. Never a row."""

import time
from datetime import date

import msgspec

from pipeline.adapters import kafka
from pipeline.domain.errors import RefusedError
from pipeline.settings import Kafka

EPOCH_KEY = b'{"row":{"control":"epoch"}}'
DAY_KEY = b'{"row":{"control":"day"}}'
MAPPING_KEY = b'{"row":{"control":"mapping"}}'
CONTROL_RECORDS = 2  # what `begin_log` writes


def begin_log(broker: Kafka, topic: str, today: date) -> int:
    """The log's epoch in Unix seconds. An empty log gets its first records: the epoch, then the day."""
    end = kafka.end_offset(broker, topic)
    if end == 0:
        _begin(broker, topic, int(time.time()))
    if end <= 1:  # also when an earlier apply was stopped between the two
        _tell_day(broker, topic, today)
    return epoch_of(broker, topic)


def begin_epoch(broker: Kafka, topic: str, today: date, after: int, position: int) -> tuple[int, int]:
    """Begin an epoch later than `after` in a log that holds rows, which count no more; the epoch and its offset.

    What ended in the source up to `position` is old, even if it is written after that.
    """
    epoch = max(int(time.time()), after + 1)
    begun = _begin(broker, topic, epoch, position=position)
    _tell_day(broker, topic, today)  # the day so far may be lost with what stood before
    return epoch, begun


def _begin(broker: Kafka, topic: str, epoch: int, **more: int) -> int:
    return kafka.write(broker, topic, EPOCH_KEY, msgspec.json.encode({"control": "epoch", "epoch": epoch} | more))


def _tell_day(broker: Kafka, topic: str, today: date) -> None:
    kafka.write(broker, topic, DAY_KEY, msgspec.json.encode({"control": "day", "date": today.isoformat()}))


def tell_mapping(broker: Kafka, topic: str, applied_at: int) -> None:
    """Say in the log that the source was applied anew: a worker that runs with the mapping before ends."""
    kafka.write(broker, topic, MAPPING_KEY, msgspec.json.encode({"control": "mapping", "applied_at": applied_at}))


def find_epoch(broker: Kafka, topic: str, begun: int = 0) -> int | None:
    """The epoch whose record stands at offset `begun`, None where there is none: another log, or none of ours.

    The newest epoch's record is never compacted away.
    """
    key, value = kafka.record_at(broker, topic, begun)
    return int(msgspec.json.decode(value)["epoch"]) if key == EPOCH_KEY and value is not None else None


def epoch_of(broker: Kafka, topic: str, begun: int = 0) -> int:
    """As `find_epoch`; RefusedError where there is none."""
    epoch = find_epoch(broker, topic, begun)
    if epoch is None:
        what = f"topic {topic} was not begun by onhand apply: at offset {begun} there is no epoch"
        raise RefusedError(what, "onhand apply --snapshot reads all rows anew into it")
    return epoch
