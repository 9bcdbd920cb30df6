"""A row that 100,000 facts join is folded while the consumer's thread goes on: its group never notices."""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from faust.types import TP

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.settings import Kafka, Source
from streams.app import make_app
from streams.fold import StockFold
from streams.ledger import Ledger
from streams.transport import Consumer
from tests.streams.erp import Log, item, new_fold, place

FACTS, ITEMS = 100_000, 1000
SESSION, HEARTBEAT = 6, 1  # seconds; the broker accepts no shorter session


def many_facts() -> StockFold:
    fold = new_fold()
    quants, items = fold.engine.tables["public.quant"], fold.engine.tables["public.item"]
    for i in range(ITEMS):
        items.upsert(items.row_type(**item(i, f"I{i}").row))
    for i in range(FACTS):
        row = {"id": i, "item_id": i % ITEMS, "place_id": 1, "quantity": "1.00", "reserved": "0.00", "due": None}
        quants.upsert(quants.row_type(**row))
    return fold


def renames(many: int) -> Log:
    """The one place gets another warehouse again and again: every fact leaves its group for another."""
    log = Log()  # without an epoch, which would begin with no facts
    for n in range(1, many):
        log.transaction(n, [place(1, "x", f"W{n}")])
    return log


async def produce(broker: Kafka, source: Source, log: Log) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    await producer.start()
    for record in log.records:
        await producer.send(source.log_topic, record.value, key=record.key, partition=0)
    await producer.stop()


def membership(app: Any) -> tuple[str, int, int]:
    coordinator = app.consumer._thread._ensure_consumer()._coordinator
    return coordinator.member_id, coordinator.generation, app.consumer_generation_id


def test_the_group_stays_as_it_is_while_many_facts_change(servers: Stack) -> None:
    servers.start("kafka")
    broker = Kafka(bootstrap_servers=servers.kafka.bootstrap)
    source = Source(name="heartbeat", pack="none", database="postgresql://cdc@127.0.0.1/none")
    kafka.ensure_topic(broker, source.log_topic, kafka.LOG)
    fold, ledger = many_facts(), Ledger()
    memberships: list[tuple[str, int, int]] = []

    async def story() -> None:
        await produce(broker, source, renames(1000))
        app = make_app(broker, source)
        app.conf.broker_session_timeout, app.conf.broker_heartbeat_interval = SESSION, HEARTBEAT
        Consumer.ledgers[TP(source.log_topic, 0)] = ledger
        topic = app.topic(source.log_topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
        done = asyncio.Event()

        async def take(stream: Any) -> None:
            async for records in stream:
                memberships.append(membership(app))
                until = time.monotonic() + 2 * SESSION
                for record in records:  # without a pause, as the worker takes a batch
                    fold.fold(record)
                    ledger.published = record.offset + 1
                    if time.monotonic() > until:
                        break
                done.set()

        app.agent(topic, name=source.name)(take)
        await app.start()
        async with asyncio.timeout(120):
            await done.wait()
        await asyncio.sleep(3 * HEARTBEAT)  # a member that the broker has given up learns it by its next heartbeat
        memberships.append(membership(app))
        await app.stop()

    asyncio.run(story())
    assert memberships[-1] == memberships[0]
    assert fold.place is not None
    assert fold.place.position.order > 1000  # ten renames at least
    levels = [level for level in fold.levels.levels.values() if len(level.idents) == 2 and level.rows]
    assert (len(levels), sum(level.on_hand for level in levels)) == (ITEMS, FACTS * 100)
