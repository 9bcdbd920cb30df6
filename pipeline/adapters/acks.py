"""Who has taken note of which open alert: a compacted topic beside the alerts', keyed by the alert's id."""

from collections.abc import Iterable, Mapping

import msgspec

from pipeline.adapters import kafka
from pipeline.settings import Kafka


class Ack(msgspec.Struct, frozen=True):
    """Who took note of an alert, when (Unix milliseconds), and what there is to say of it."""

    who: str
    time_ms: int
    note: str = ""


def held(broker: Kafka, topic: str) -> dict[str, Ack]:
    """By the alert's id; of alerts that have ended, too."""
    found = {}
    for key, value in kafka.latest(broker, topic).items():
        if value:
            found[key.decode()] = msgspec.json.decode(value, type=Ack)
    return found


def acknowledge(broker: Kafka, topic: str, ident: str, ack: Ack) -> None:
    """Keep it until the alert is forgotten."""
    kafka.ensure_topic(broker, topic, kafka.COMPACTED)
    kafka.write(broker, topic, ident.encode(), msgspec.json.encode(ack))


def forget(broker: Kafka, topic: str, acks: Mapping[str, Ack], is_open: Iterable[str]) -> None:
    """End those of alerts that are not open any more: their ids never come again."""
    for ident in acks.keys() - set(is_open):
        kafka.write(broker, topic, ident.encode(), b"")
