"""F6, F14-F16, F31, F36: the way from the ERP's database into the log."""

import asyncio
from collections.abc import Iterator

import psycopg
import requests
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from tests.e2e.source import PASSWORD, Source
from tests.faults.registry import fault
from tests.faults.run import Run

CUT = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active"


def _cut(run: Run) -> None:
    """End the connector's replication connection, as soon as it has one."""
    slot = (f"onhand_{run.source.name}",)
    run.wait(lambda: run.source.sql.execute(CUT, slot).fetchall() == [(True,)], "the slot of this source is in use")


def tell_connector(source: Source, method: str, path: str) -> None:
    """A request to Connect about a source's connector."""
    url = f"{source.stack.connect.url}/connectors/onhand-{source.name}{path}"
    requests.request(method, url, timeout=30).raise_for_status()


def connector_tasks(source: Source) -> list[str]:
    """The states of its tasks; none while it is stopped."""
    url = f"{source.stack.connect.url}/connectors/onhand-{source.name}/status"
    return [task["state"] for task in requests.get(url, timeout=10).json()["tasks"]]


@fault("F6a", "the database ends the connector's session, five times", short=True, hold=1)
def session_ended(run: Run) -> Iterator[None]:
    for _ in range(5):
        _cut(run)
    yield


@fault("F6b", "the connector's password is changed, and back", hold=8)
def password_changed(run: Run) -> Iterator[None]:
    run.source.sql.execute("ALTER ROLE cdc PASSWORD 'another'")
    _cut(run)
    yield
    run.source.sql.execute(f"ALTER ROLE cdc PASSWORD '{PASSWORD}'")


@fault("F6c", "the connector's role may not replicate, and may again", hold=8)
def right_revoked(run: Run) -> Iterator[None]:
    run.source.sql.execute("ALTER ROLE cdc NOREPLICATION")
    _cut(run)
    yield
    run.source.sql.execute("ALTER ROLE cdc REPLICATION")


@fault("F16", "captured tables idle, 300 MB of WAL elsewhere", hold=3)
def busy_elsewhere(run: Run) -> Iterator[None]:
    run.writers.resting = True
    name = f"{run.source.name}_elsewhere"
    run.source.sql.execute(f'CREATE DATABASE "{name}"')
    before = run.source.position()
    with psycopg.connect(run.stack.postgres.url(name), autocommit=True) as elsewhere:
        elsewhere.execute("CREATE TABLE filler (text text)")
        while run.source.position() < before + 300_000_000:
            elsewhere.execute("INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 20000) g")
    end = run.source.position()
    kept = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    slot = f"onhand_{run.source.name}"
    run.wait(lambda: run.source.sql.execute(kept, (slot,)).fetchone()[0] >= end, "the slot moved on", 30)
    yield
    run.source.sql.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    run.writers.resting = False


@fault("F31", "a transaction open for 20 s beside the load", hold=20)
def long_transaction(run: Run) -> Iterator[None]:
    with psycopg.connect(run.stack.postgres.url(run.source.name)) as sql:
        sql.execute("INSERT INTO quant (id, item_id, location_id, quantity) VALUES (300001, 7, 7, 77)")
        yield
        done = run.source.onhand("status")
        assert done.returncode == 0, f"a false alarm: {done.stdout} {done.stderr}"


@fault("F36a", "Connect forgets its offsets under load: everything is read anew", hold=0)
def offsets_reset(run: Run) -> Iterator[None]:
    tell_connector(run.source, "PUT", "/stop")
    run.wait(lambda: not connector_tasks(run.source), "stopped")
    run.transaction("DELETE FROM quant WHERE id BETWEEN 100 AND 150")
    tell_connector(run.source, "DELETE", "/offsets")
    yield
    tell_connector(run.source, "PUT", "/resume")
    run.wait(lambda: connector_tasks(run.source) == ["RUNNING"], "running again")


@fault("F36b", "the consumer group rewound to the start", short=True, hold=0)
def group_rewound(run: Run) -> Iterator[None]:
    assert run.source.stop_worker() == 0
    asyncio.run(_rewind(run.stack.kafka.bootstrap, f"onhand.{run.source.name}", f"onhand.{run.source.name}.log"))
    yield
    run.source.start_worker()


async def _rewind(bootstrap: str, group: str, topic: str) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "")})
    finally:
        await consumer.stop()
