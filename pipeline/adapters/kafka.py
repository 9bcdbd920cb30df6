"""Kafka for the command line, the worker's start and its watchdog: topics with the right settings, records.

Each call opens its own connection and blocks; nothing here is on the path of a change.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import stamina
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, for_code

from pipeline.adapters.log_dirs import Disk, fullest_disk
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.settings import Kafka

TIMEOUT_S = 10
_WEEK_MS = str(7 * 24 * 3600 * 1000)

# What keeps the log whole: the recent past uncompacted, deletes readable for as long, Debezium's largest batch accepted
# (its producer sends up to 8 MiB; the rest is the batch's own header).
LOG = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": _WEEK_MS,
    "delete.retention.ms": _WEEK_MS,
    "max.message.bytes": str(9 * 1024 * 1024),
}
COMPACTED = {"cleanup.policy": "compact"}
# A row as it was before stands in a record of its own, and is as large as the log's; an order's lines stand in one.
QUARANTINE = COMPACTED | {"max.message.bytes": LOG["max.message.bytes"]}
EVENTS = {"cleanup.policy": "delete", "retention.ms": _WEEK_MS}
# Only chosen at creation: small closed segments, so that compaction gets at a quiet log too.
_ROLLING = {"segment.ms": str(24 * 3600 * 1000), "segment.bytes": str(256 * 1024 * 1024)}


def client_options(kafka: Kafka) -> dict[str, Any]:
    """What every aiokafka client needs to reach the brokers."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": TIMEOUT_S * 1000,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=kafka.ssl_cafile)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.secret
    return options


P = ParamSpec("P")
T = TypeVar("T")


def _passes(e: Exception) -> bool:
    """A broker that is there but still electing or loading; one that is away is told at once."""
    return isinstance(e, KafkaError) and e.retriable and not isinstance(e, KafkaConnectionError | KafkaTimeoutError)


def _blocking(
    work: Callable[Concatenate[Kafka, P], Coroutine[Any, Any, T]], limit_s: float | None = 2 * TIMEOUT_S
) -> Callable[Concatenate[Kafka, P], T]:
    """Run `work` to its end within the time-out; what Kafka answers becomes an error a person can act on."""

    def run(kafka: Kafka, /, *args: P.args, **kwargs: P.kwargs) -> T:
        where = f"Kafka at {kafka.bootstrap_servers}"
        try:
            for attempt in stamina.retry_context(on=_passes, attempts=None, timeout=TIMEOUT_S, wait_max=1.0):
                with attempt:
                    return asyncio.run(asyncio.wait_for(work(kafka, *args, **kwargs), limit_s))
            raise AssertionError  # without a limit of attempts the loop returns or raises
        except (KafkaConnectionError, KafkaTimeoutError, TimeoutError, OSError):
            fix = "start the broker, or correct bootstrap_servers and security_protocol in [kafka]"
            raise NotReadyError(f"{where} does not answer", fix) from None
        except KafkaError as e:
            raise RefusedError(f"{where} refuses: {e}", "ask the broker's administrator to allow it") from None

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _reading(kafka: Kafka, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition] | None]:
    """A consumer placed on the topic's one partition; None where the topic does not exist."""
    consumer = AIOKafkaConsumer(**client_options(kafka), auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        await consumer.start()
        if topic not in await consumer.topics():
            yield None
            return
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        yield consumer, partition
    finally:
        await consumer.stop()


@_blocking
async def brokers(kafka: Kafka) -> int:
    """How many brokers there are; NotReadyError when none answers."""
    async with _admin(kafka) as admin:
        return len((await admin.describe_cluster())["brokers"])


@_blocking
async def settings_of(kafka: Kafka, topic: str) -> dict[str, str] | None:
    """The topic's settings and its number of `partitions`, None where it does not exist."""
    async with _admin(kafka) as admin:
        described = {t["topic"]: t for t in await admin.describe_topics()}
        if topic not in described:
            return None
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        code, message, _, _, entries = answer.resources[0][:5]
        if code:
            raise for_code(code)(message)
        return {e[0]: e[1] for e in entries} | {"partitions": str(len(described[topic]["partitions"]))}


@_blocking
async def disk(kafka: Kafka, topic: str) -> Disk | None:
    """Where the topic lies: of several brokers the one whose disk is the fullest; None where no broker tells."""
    async with _admin(kafka) as admin:
        return await fullest_disk(admin, topic)


@_blocking
async def _create(kafka: Kafka, topic: str, replicas: int, settings: dict[str, str]) -> None:
    async with _admin(kafka) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, replicas, topic_configs=settings)])
        for _, code, message in answer.topic_errors:
            if code:
                raise for_code(code)(message)


def check_topic(kafka: Kafka, topic: str, wanted: dict[str, str]) -> bool:
    """True when `topic` is there as wanted, False when it is yet to be made; RefusedError with other settings."""
    found = settings_of(kafka, topic)
    if found is None:
        return False
    if found["partitions"] != "1":
        what = f"topic {topic} has {found['partitions']} partitions, wanted 1: order across tables would be lost"
        raise RefusedError(what, f"{_delete(kafka, topic)} if nothing else uses it, then apply again")
    if wrong := {name: value for name, value in wanted.items() if not _serves(found.get(name, ""), value)}:
        differences = ", ".join(f"{name} is {found.get(name)}, wanted {value}" for name, value in wrong.items())
        change = ",".join(f"{name}={value}" for name, value in wrong.items())
        command = f"kafka-configs.sh --bootstrap-server {kafka.bootstrap_servers} --alter --entity-type topics"
        raise RefusedError(f"topic {topic}: {differences}", f"{command} --entity-name {topic} --add-config {change}")
    return True


def _delete(kafka: Kafka, topic: str) -> str:
    return f"kafka-topics.sh --bootstrap-server {kafka.bootstrap_servers} --delete --topic {topic}"


def _serves(found: str, wanted: str) -> bool:
    """Limits and times may be larger than wanted."""
    return int(found) >= int(wanted) if wanted.isdigit() and found.isdigit() else found == wanted


def ensure_topic(kafka: Kafka, topic: str, wanted: dict[str, str]) -> bool:
    """Make `topic` with one partition; True when it was not there before. RefusedError when it has other settings."""
    if check_topic(kafka, topic, wanted):
        return False
    replicas = kafka.replication_factor or min(3, brokers(kafka))
    _create(kafka, topic, replicas, wanted | (_ROLLING if wanted is LOG else {}))
    return True


@_blocking
async def write(kafka: Kafka, topic: str, key: bytes, value: bytes) -> int:
    """Write one record, acknowledged by every in-sync replica; return its offset."""
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        return int((await producer.send_and_wait(topic, value, key=key, partition=0)).offset)
    finally:
        await producer.stop()


@_blocking
async def end_offset(kafka: Kafka, topic: str) -> int:
    """The offset the next record of `topic` gets; 0 where it does not exist."""
    async with _reading(kafka, topic) as reading:
        if reading is None:
            return 0
        consumer, partition = reading
        return int((await consumer.end_offsets([partition]))[partition])


@_blocking
async def committed(kafka: Kafka, group: str, topic: str) -> int | None:
    """The offset `group` committed on `topic`, None when it never did."""
    partition = TopicPartition(topic, 0)
    async with _admin(kafka) as admin:
        offsets = await admin.list_consumer_group_offsets(group, partitions=[partition])
        return offsets[partition].offset if partition in offsets and offsets[partition].offset >= 0 else None


@_blocking
async def record_at(kafka: Kafka, topic: str, offset: int) -> tuple[bytes | None, bytes | None]:
    """Key and value of the topic's record at an offset, or of the next one that is left; None of a shorter topic."""
    async with _reading(kafka, topic) as reading:
        if reading is None:
            return None, None
        consumer, partition = reading
        if (await consumer.end_offsets([partition]))[partition] <= offset:
            return None, None
        consumer.seek(partition, offset)
        record = await consumer.getone(partition)
        return record.key, record.value


@_blocking
async def latest(kafka: Kafka, topic: str) -> dict[bytes, bytes]:
    """The newest value of each key."""
    newest: dict[bytes, bytes] = {}
    async with _reading(kafka, topic) as reading:
        if reading is None:
            return newest
        consumer, partition = reading
        end = (await consumer.end_offsets([partition]))[partition]
        await consumer.seek_to_beginning(partition)
        while await consumer.position(partition) < end:
            for record in (await consumer.getmany(partition, timeout_ms=1000)).get(partition, ()):
                newest[record.key] = record.value
    return newest


async def _replay(kafka: Kafka, topic: str, take: Callable[[Any], bool | None], last: int | None = None) -> int:
    async with _reading(kafka, topic) as reading:
        if reading is None:
            return 0
        consumer, partition = reading
        end = int((await consumer.end_offsets([partition]))[partition])
        first = int((await consumer.beginning_offsets([partition]))[partition])
        begin = first if last is None else max(first, end - last)
        await _hand_on(consumer, partition, begin, end, take)
        return begin


async def _follow(kafka: Kafka, topic: str, take: Callable[[Any], bool | None], offset: int) -> int:
    async with _reading(kafka, topic) as reading:
        if reading is None:
            return offset
        consumer, partition = reading
        end = int((await consumer.end_offsets([partition]))[partition])
        await _hand_on(consumer, partition, offset, end, take)
        return max(offset, end)


async def _hand_on(
    consumer: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int, take: Callable[[Any], bool | None]
) -> None:
    consumer.seek(partition, begin)
    while await consumer.position(partition) < end:
        for record in (await consumer.getmany(partition, timeout_ms=1000)).get(partition, ()):
            if take(record):
                return


def replay(kafka: Kafka, topic: str, take: Callable[[Any], bool | None], last: int | None = None) -> int:
    """Hand the topic's records, or the `last` of them, to `take` up to its present end, or until it says True.

    Returns the offset it began at.
    """
    return _blocking(_replay, limit_s=None)(kafka, topic, take, last)


def follow(kafka: Kafka, topic: str, take: Callable[[Any], bool | None], offset: int) -> int:
    """Hand the topic's records from `offset` on to `take` up to its present end; the offset to go on from."""
    return _blocking(_follow, limit_s=None)(kafka, topic, take, offset)
