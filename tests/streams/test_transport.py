"""The contract with the private names of Faust and aiokafka that `streams.transport` leans on."""

import asyncio
import inspect
import tomllib
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.channels import Channel
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP, ConsumerMessage

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.settings import Kafka, Source
from streams.app import make_app
from streams.ledger import Ledger
from streams.transport import Consumer, Thread, Transport, driver

RECORDS = 5000
_numbers = count(1)


def test_the_pinned_versions_are_the_installed_ones() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    pins = dict(d.split("==") for d in project["dependencies"] if "==" in d)
    assert {"faust-streaming", "aiokafka", "mode-streaming"} <= set(pins)
    assert {name: metadata.version(name) for name in pins} == pins


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (driver.AIOKafkaConsumerThread, "_commit", ["self", "offsets"]),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
        (driver.AIOKafkaConsumerThread, "assignment", ["self"]),
        (driver.AIOKafkaConsumerThread, "call_thread", ["self", "fun", "args", "kwargs"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (FaustConsumer, "perform_seek", ["self"]),
        (FaustConsumer, "_drain_messages", ["self", "fetcher"]),
        (FaustConsumer, "_new_offset", ["self", "tp"]),
        (FaustConsumer, "_wait_next_records", ["self", "timeout"]),
        (driver.Consumer, "_seek", ["self", "partition", "offset"]),
        (driver.Consumer, "highwaters", ["self", "partitions"]),
        (driver.Consumer, "highwater", ["self", "tp"]),
        (FaustConsumer, "wait_first", ["self", "coros", "timeout"]),
        (Channel, "_create_event", ["self", "key", "value", "headers", "message"]),
        (ConsumerMessage, "incref", ["self", "n"]),
        (GroupCoordinator, "fetch_committed_offsets", ["self", "partitions"]),
    ],
)
def test_a_method_we_replace_or_call_is_as_we_know_it(owner: type, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize("name", ["_commit", "_new_consumer_thread", "perform_seek", "_drain_messages", "_new_offset"])
def test_what_we_replace_is_still_called_by_faust(name: str) -> None:
    mine, theirs = (Thread, driver.AIOKafkaConsumerThread) if name == "_commit" else (Consumer, driver.Consumer)
    assert getattr(mine, name) is not getattr(theirs, name)
    modules = (inspect.getmodule(owner) for owner in (driver.Consumer, FaustConsumer, faust.App))
    sources = [inspect.getsource(module) for module in modules if module]
    called = (f"self.{name}(", f"self.{name},", f"consumer.{name}(")
    assert any(call in source for source in sources for call in called)


def test_the_attributes_we_read_and_write_exist(source: Source) -> None:
    async def look() -> None:
        app = make_app(Kafka(), source)
        consumer = app.consumer
        assert isinstance(consumer, Consumer)
        assert isinstance(consumer._thread, Thread)
        for name in ("_acked", "_acked_index", "_read_offset", "flow_active", "suspend_flow", "should_stop"):
            assert hasattr(consumer, name), name
        assert isinstance(app.topics, Conductor)
        assert hasattr(app.topics, "_tp_index")
        assert app.consumer_generation_id == 0
        assert callable(app.monitor.track_tp_end_offset)
        consumer._thread.thread_loop.close()  # made with the thread, closed when it ends; this one never starts

    asyncio.run(look())


@pytest.fixture
def broker(servers: Stack) -> Kafka:
    servers.start("kafka")
    return Kafka(bootstrap_servers=servers.kafka.bootstrap)


@pytest.fixture
def source() -> Source:
    return Source(name=f"transport{next(_numbers)}", pack="none", database="postgresql://cdc@127.0.0.1/none")


async def fill(broker: Kafka, source: Source) -> None:
    """5,000 records, and a group that has committed the middle of them."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    await producer.start()
    for n in range(RECORDS):
        await producer.send(source.log_topic, b"%d" % n, key=b"k%d" % n, partition=0)
    await producer.stop()
    await commit(broker, source, RECORDS // 2, "before")


def reader(broker: Kafka, source: Source) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, group_id=source.group, enable_auto_commit=False
    )  # fmt: skip


async def commit(broker: Kafka, source: Source, offset: int, metadata_: str) -> None:
    consumer = reader(broker, source)
    await consumer.start()
    tp = TopicPartition(source.log_topic, 0)
    consumer.assign([tp])
    await consumer.commit({tp: OffsetAndMetadata(offset, metadata_)})
    await consumer.stop()


async def committed(broker: Kafka, source: Source) -> OffsetAndMetadata:
    consumer = reader(broker, source)
    await consumer.start()
    tp = TopicPartition(source.log_topic, 0)
    found = await consumer._coordinator.fetch_committed_offsets([tp])
    await consumer.stop()
    return found[tp]


async def run(app: Any, source: Source, ledger: Ledger, enough: Any) -> list[list[Any]]:
    """Run the app until `enough` of the batches handed over."""
    batches: list[list[Any]] = []
    done = asyncio.Event()
    Consumer.ledgers[TP(source.log_topic, 0)] = ledger
    log = app.topic(source.log_topic, value_type=bytes, value_serializer="raw", key_serializer="raw")

    async def take(stream: Any) -> None:
        async for records in stream:
            batches.append(records)
            ledger.folded = records[-1].offset
            if enough(records[-1].offset):
                done.set()

    app.agent(log, name=source.name)(take)
    await app.start()
    async with asyncio.timeout(60):
        await done.wait()
    return batches


def test_whole_batches_from_the_start_and_only_what_is_published_is_committed(broker: Kafka, source: Source) -> None:
    kafka.ensure_topic(broker, source.log_topic, kafka.LOG)
    ledger = Ledger()

    async def story() -> list[list[Any]]:
        await fill(broker, source)
        app = make_app(broker, source)
        assert isinstance(app.transport, Transport)
        batches = await run(app, source, ledger, lambda offset: offset == RECORDS - 1)
        assert await committed(broker, source) == OffsetAndMetadata(RECORDS // 2, "before")
        ledger.metadata, ledger.published = "v 0/10", 4000
        async with asyncio.timeout(30):
            while (await committed(broker, source)).offset != 4000:
                pass
        await app.stop()
        assert await committed(broker, source) == OffsetAndMetadata(4000, "v 0/10")
        return batches

    batches = asyncio.run(story())
    records = [record for batch in batches for record in batch]
    assert [r.offset for r in records] == list(range(RECORDS))
    assert [r.value for r in records] == [b"%d" % n for n in range(RECORDS)]
    assert len(batches) < RECORDS / 20
    assert (ledger.replay_until, ledger.committed_metadata) == (RECORDS, "before")
