"""Changes that are lost in the source are told, and the command told reads all rows anew into the same log."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
import requests
from aiokafka.admin import AIOKafkaAdminClient

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.settings import Kafka
from tests.e2e.source import Source, wait_for

PARTS = ("postgres", "kafka", "connect", "redis")


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """Servers of our own: some of these tests put the whole database server back."""
    with Stack(parts=PARTS) as own:
        yield own


@pytest.fixture
def source(own: Stack, request: pytest.FixtureRequest) -> Iterator[Source]:
    source = Source(own, re.sub(r"\W", "_", request.node.name).removeprefix("test_")[:40].strip("_"))
    with source.attached():
        yield source


def admin(source: Source, sql: str) -> None:
    with psycopg.connect(source.stack.postgres.url(source.name), autocommit=True) as superuser:
        superuser.execute(sql)


def stop_connector(source: Source) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/stop", timeout=30).raise_for_status()
    wait_for(lambda: not requests.get(f"{connector}/status", timeout=30).json()["tasks"], "stopped")


def resume_connector(source: Source) -> None:
    requests.put(f"{source.stack.connect.url}/connectors/onhand-{source.name}/resume", timeout=30).raise_for_status()


def told(source: Source, says: str, state: str) -> str:
    """Readers, `status` and the worker's log tell of it; returns the command that `status` prints."""
    wait_for(lambda: source.meta().get("state") == state, f"readers told {state}: {source.meta()}", 120)
    done = source.onhand("status", "-o", "json")
    assert done.returncode == 10, done.stdout
    (row,) = json.loads(done.stdout)
    found = [hop for hop in row["hops"] if says in (hop["cause"] or "")]
    assert found, row["hops"]
    return found[0]["fix"]


def mend(source: Source, fix: str) -> None:
    """Run the command told; the numbers served before stay until the new ones are complete."""
    before, v = source.on_hand("PROBE", "W1"), source.meta()["v"]
    command = fix.partition("   (")[0].split()
    assert command == ["onhand", "apply", "--snapshot", source.name]
    done = source.onhand(*command[1:])
    assert done.returncode == 0, done.stderr
    assert source.on_hand("PROBE", "W1") is not None, before
    assert source.worker is not None
    wait_for(lambda: source.worker.poll() is not None, "the worker that ran ended")  # type: ignore[union-attr]
    source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", f"served anew: {source.tail()}", 120)
    assert source.meta()["v"] > v
    source.verify()
    assert source.onhand("status").returncode == 0


def test_slot_dropped(source: Source) -> None:
    stop_connector(source)
    admin(source, f"SELECT pg_drop_replication_slot('onhand_{source.name}')")
    source.sql.execute("UPDATE quant SET quantity = 7 WHERE id = 100001")
    source.sql.execute("DELETE FROM quant WHERE id BETWEEN 1 AND 40")
    resume_connector(source)
    refused = source.onhand("apply")
    assert refused.returncode == 1
    assert f"fix: onhand apply --snapshot {source.name}" in refused.stderr
    mend(source, told(source, "replication slot is gone", "stale"))
    assert source.on_hand("PROBE", "W1") == "7.0000"


@pytest.mark.long
def test_slot_advanced(source: Source) -> None:
    """Debezium goes on after the gap as if nothing had been."""
    stop_connector(source)
    source.sql.execute("UPDATE quant SET quantity = 8 WHERE id = 100001")
    admin(source, f"SELECT pg_replication_slot_advance('onhand_{source.name}', pg_current_wal_lsn())")
    told(source, "was moved ahead", "degraded")
    resume_connector(source)
    source.wait_until_served()
    assert source.on_hand("PROBE", "W1") == "0.0000", "else there is nothing to tell"
    source.kill_worker()
    source.start_worker()  # it is known by the next worker too
    source.wait_until_served()
    mend(source, told(source, "was moved ahead", "degraded"))


@pytest.mark.long
def test_wal_removed(source: Source) -> None:
    stop_connector(source)
    admin(source, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    admin(source, "SELECT pg_reload_conf()")
    admin(source, "CREATE TABLE churn (a text)")
    for _ in range(6):
        admin(source, "INSERT INTO churn SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        admin(source, "SELECT pg_switch_wal()")
        admin(source, "CHECKPOINT")
    source.sql.execute("UPDATE quant SET quantity = 9 WHERE id = 100001")
    resume_connector(source)
    fix = told(source, "lost its WAL", "stale")
    admin(source, "ALTER SYSTEM RESET max_slot_wal_keep_size")
    admin(source, "SELECT pg_reload_conf()")
    mend(source, fix)


@pytest.mark.long
def test_put_back(source: Source) -> None:
    """A cold copy of the server's files is put back: the same server, the same timeline, positions go back."""
    stack = source.stack
    restart(source, lambda home: shutil.copytree(home / "data", home / "copy", symlinks=True, copy_function=_copy))
    source.sql.execute("UPDATE quant SET quantity = 500 WHERE id = 100001")
    source.sql.execute("INSERT INTO quant (item_id, location_id, quantity) VALUES (5, 3, 123)")
    admin(source, "CREATE TABLE churn (a text)")
    admin(source, "INSERT INTO churn SELECT repeat('x', 1000) FROM generate_series(1, 40000)")
    source.wait_until_served()
    assert source.on_hand("PROBE", "W1") == "500.0000"

    def put_back(home) -> None:
        shutil.rmtree(home / "data")
        (home / "copy").rename(home / "data")

    restart(source, put_back)
    source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
    mend(source, told(source, "put back from a backup", "degraded"))
    assert source.on_hand("PROBE", "W1") == "1.0000"
    assert stack.is_running("postgres")


def _copy(a: str, b: str) -> None:
    subprocess.run(["cp", "-p", a, b], check=True)


def restart(source: Source, meanwhile) -> None:
    source.sql.close()
    source.stack.stop("postgres")
    meanwhile(source.stack.postgres.home)
    subprocess.run(["chown", "-R", source.stack.postgres.user or "root", source.stack.postgres.home], check=True)
    source.stack.start("postgres")
    source.sql = psycopg.connect(source.stack.postgres.url(source.name), autocommit=True)


def test_failed_over(source: Source) -> None:
    """A standby is promoted: another timeline, whose positions may be other transactions' before."""
    restart(source, lambda home: (home / "data/standby.signal").touch())
    wait_for(lambda: source.meta()["state"] == "stale", "a standby has no changes", 120)
    admin(source, "SELECT pg_promote()")
    source.sql.execute("UPDATE quant SET quantity = 21 WHERE id = 100001")
    mend(source, told(source, "was failed over", "degraded"))
    assert source.on_hand("PROBE", "W1") == "21.0000"


@pytest.mark.long
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_of_the_database_heals_alone(source: Source, end: str) -> None:
    source.sql.execute("UPDATE quant SET quantity = 5 WHERE id = 100001")
    source.sql.close()
    getattr(source.stack, end)("postgres")
    source.stack.start("postgres")
    source.sql = psycopg.connect(source.stack.postgres.url(source.name), autocommit=True)
    source.sql.execute("UPDATE quant SET quantity = 6 WHERE id = 100001")
    source.wait_until_served(180)
    wait_for(lambda: source.meta()["state"] == "live", "nothing was lost")
    source.verify()


async def delete_topic(broker: Kafka, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()


@pytest.mark.long
def test_log_made_anew(source: Source) -> None:
    """Somebody deletes the topic and makes one of the same name and settings."""
    broker = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    log = f"onhand.{source.name}.log"
    asyncio.run(delete_topic(broker, log))
    told(source, f"topic {log} is gone", "stale")
    kafka.ensure_topic(broker, log, kafka.LOG)
    source.sql.execute("UPDATE quant SET quantity = 11 WHERE id = 100001")
    assert source.worker is not None
    wait_for(lambda: source.worker.poll() is not None, "the worker does not go on with another log", 120)
    assert "its epoch differs" in source.tail()
    mend(source, told(source, "not the log that was applied", "stale"))
