"""Topics and control records on a real broker."""

from datetime import date
from itertools import count

import msgspec
import pytest

from infra.stack import Stack
from pipeline.adapters import control, kafka, sources
from pipeline.applied import TOPIC, Applied, Swept
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.settings import Kafka

_numbers = count(1)
TODAY = date(2026, 11, 22)


@pytest.fixture
def broker(servers: Stack) -> Kafka:
    servers.start("kafka")
    return Kafka(bootstrap_servers=servers.kafka.bootstrap)


@pytest.fixture
def topic() -> str:
    return f"onhand.kafka{next(_numbers)}.log"


def test_a_new_topic_has_the_settings_of_a_log(broker: Kafka, topic: str) -> None:
    assert not kafka.check_topic(broker, topic, kafka.LOG)
    assert kafka.ensure_topic(broker, topic, kafka.LOG)
    assert not kafka.ensure_topic(broker, topic, kafka.LOG)
    found = kafka.settings_of(broker, topic)
    assert found is not None
    assert found["partitions"] == "1"
    assert found["min.compaction.lag.ms"] == found["delete.retention.ms"] == str(7 * 24 * 3600 * 1000)


def test_a_longer_retention_is_fine_and_a_shorter_is_refused(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, topic, kafka.LOG | {"delete.retention.ms": "9999999999"})
    assert kafka.check_topic(broker, topic, kafka.LOG)
    kafka.ensure_topic(broker, f"{topic}2", kafka.LOG | {"delete.retention.ms": "1000"})
    with pytest.raises(RefusedError, match=r"delete\.retention\.ms is 1000, wanted 604800000") as refused:
        kafka.check_topic(broker, f"{topic}2", kafka.LOG)
    assert refused.value.fix.endswith(f"--entity-name {topic}2 --add-config delete.retention.ms=604800000")


def test_a_log_begins_with_its_epoch_and_its_day_once(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, topic, kafka.LOG)
    epoch = control.begin_log(broker, topic, TODAY)
    assert control.begin_log(broker, topic, date(2027, 1, 1)) == epoch
    assert kafka.end_offset(broker, topic) == control.CONTROL_RECORDS
    assert kafka.latest(broker, topic) == {
        b'{"row":{"control":"epoch"}}': b'{"control":"epoch","epoch":%d}' % epoch,
        b'{"row":{"control":"day"}}': b'{"control":"day","date":"2026-11-22"}',
    }


def test_a_beginning_that_was_cut_short_is_completed(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, topic, kafka.LOG)
    kafka.write(broker, topic, control.EPOCH_KEY, b'{"control":"epoch","epoch":7}')
    assert control.begin_log(broker, topic, TODAY) == 7
    assert kafka.end_offset(broker, topic) == control.CONTROL_RECORDS


def test_a_log_of_somebody_else_is_refused(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, topic, kafka.LOG)
    for _ in range(3):
        kafka.write(broker, topic, b"k", b"v")
    with pytest.raises(RefusedError, match="was not begun by onhand"):
        control.begin_log(broker, topic, TODAY)


def test_the_newest_applied_source_counts(broker: Kafka, topic: str) -> None:
    source = Applied(
        name=topic, epoch=1, applied_at=2, pack="p", dialect="postgres", digest="a", catalog={}, texts=[],
        bound={}, stock={}, time_zone="UTC", prefix="stock", topics={},
    )  # fmt: skip
    assert sources.find_applied(broker, topic) is None
    sources.store_applied(broker, source)
    sources.store_applied(broker, msgspec.structs.replace(source, digest="b"))
    assert sources.load_applied(broker, topic).digest == "b"


def test_what_was_swept_counts_in_its_own_log_only(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, TOPIC, kafka.COMPACTED)
    assert sources.load_swept(broker, topic, 7) == {}
    kafka.write(broker, TOPIC, Swept.key(topic), Swept(7, {"public.quant": 12}).to_json())
    assert sources.load_swept(broker, topic, 7) == {"public.quant": 12}
    assert sources.load_swept(broker, topic, 8) == {}
    assert sources.find_applied(broker, topic) is None


def test_nothing_committed_yet(broker: Kafka, topic: str) -> None:
    kafka.ensure_topic(broker, topic, kafka.LOG)
    assert kafka.committed(broker, "nobody", topic) is None
    assert kafka.end_offset(broker, "no.such.topic") == 0


def test_no_broker() -> None:
    away = Kafka(bootstrap_servers="127.0.0.1:1")
    for ask in (kafka.brokers, lambda k: kafka.end_offset(k, "t"), lambda k: kafka.write(k, "t", b"k", b"v")):
        with pytest.raises(NotReadyError, match="does not answer"):
            ask(away)


def test_the_disk_of_a_topic(broker: Kafka, topic: str) -> None:
    assert kafka.disk(broker, topic) is None
    kafka.ensure_topic(broker, topic, kafka.LOG)
    before = kafka.disk(broker, topic)
    assert before
    assert 0 < before.free < before.total
    kafka.write(broker, topic, b"key", bytes(5000))
    after = kafka.disk(broker, topic)
    assert after
    assert before.topic + 5000 <= after.topic < before.topic + 10_000
