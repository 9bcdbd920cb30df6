"""Capture that stops is told to readers, started again when the cause is gone, and never taken for health."""

import json
import time
from collections.abc import Callable

import psycopg
import pytest
import requests

from tests.e2e.source import PASSWORD, Source, wait_for


def connector(source: Source, verb: str) -> None:
    url = f"{source.stack.connect.url}/connectors/onhand-{source.name}/{verb}"
    requests.put(url, timeout=30).raise_for_status()


def task(source: Source) -> str:
    url = f"{source.stack.connect.url}/connectors/onhand-{source.name}/status"
    tasks = requests.get(url, timeout=30).json()["tasks"]
    return tasks[0]["state"] if tasks else ""


def admin(source: Source, sql: str) -> None:
    with psycopg.connect(source.stack.postgres.url(source.name), autocommit=True) as superuser:
        superuser.execute(sql)


def end_capture(source: Source) -> None:
    admin(
        source,
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
        f" WHERE slot_name = 'onhand_{source.name}' AND active",
    )


def hops(source: Source) -> dict[str, dict[str, str]]:
    done = source.onhand("status", "-o", "json")
    (row,) = json.loads(done.stdout)
    assert done.returncode == (10 if row["problem"] else 0)
    return {hop["hop"]: hop for hop in row["hops"]}


def wrong_password(source: Source) -> Callable[[], None]:
    admin(source, "ALTER ROLE cdc PASSWORD 'another'")
    return lambda: admin(source, f"ALTER ROLE cdc PASSWORD '{PASSWORD}'")


def no_login(source: Source) -> Callable[[], None]:
    admin(source, "ALTER ROLE cdc NOLOGIN")
    return lambda: admin(source, "ALTER ROLE cdc LOGIN")


@pytest.mark.parametrize(
    "take_away", [wrong_password, pytest.param(no_login, marks=pytest.mark.long)], ids=lambda f: f.__name__
)
def test_a_connector_that_failed_goes_on_when_the_cause_is_gone(
    source: Source, take_away: Callable[[Source], Callable[[], None]]
) -> None:
    give_back = take_away(source)
    try:
        end_capture(source)
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        wait_for(lambda: task(source) == "FAILED", "the task failed", 120)
        wait_for(lambda: source.meta()["state"] == "stale", "readers are told")
        told = hops(source)["connect"]
        assert "the connector failed: " in told["cause"]
        assert told["fix"]
    finally:
        give_back()
    source.wait_until_served(300)
    wait_for(lambda: source.meta()["state"] == "live", "readers are told that it is over")
    source.verify()
    wait_for(lambda: all(not hop["cause"] for hop in hops(source).values()), "status finds nothing")


def test_a_connector_that_runs_and_captures_nothing_is_found_and_started_again(source: Source) -> None:
    """Debezium tries again by itself for long, and Connect calls that RUNNING."""
    begun = source.log.read_text().count("starting the connector again")
    admin(source, "ALTER ROLE cdc NOREPLICATION")
    try:
        end_capture(source)
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        wait_for(lambda: source.meta()["state"] == "stale", "readers are told")
        assert "nothing reads replication slot" in hops(source)["slot"]["cause"]
        wait_for(lambda: source.log.read_text().count("starting the connector again") > begun, "started again", 180)
    finally:
        admin(source, "ALTER ROLE cdc REPLICATION")
    source.wait_until_served(300)
    wait_for(lambda: source.meta()["state"] == "live", "readers are told that it is over")
    source.verify()


def test_a_connector_that_somebody_paused_is_left_alone_and_told(source: Source) -> None:
    connector(source, "pause")
    wait_for(lambda: source.meta()["state"] == "stale", "readers are told")
    told = hops(source)["connect"]
    assert "was paused by somebody" in told["cause"]
    assert f"/connectors/onhand-{source.name}/resume" in told["fix"]
    connector(source, "resume")
    source.wait_until_served()
    wait_for(lambda: source.meta()["state"] == "live", "over")


@pytest.mark.long
def test_connect_away_is_told_and_over_when_it_is_back(source: Source) -> None:
    source.stack.kill("connect")
    source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
    wait_for(lambda: source.meta()["state"] == "stale", "readers are told", 120)
    assert "does not answer" in hops(source)["connect"]["cause"]
    source.stack.start("connect")
    source.wait_until_served()
    wait_for(lambda: source.meta()["state"] == "live", "over")
    source.verify()


@pytest.mark.long
def test_a_weekend_without_worker_and_connect(source: Source) -> None:
    """The ERP goes on; what it did is served when both are back, and nothing else."""
    assert source.stop_worker() == 0
    source.stack.stop("connect")
    for n in range(50):
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        source.sql.execute("DELETE FROM quant WHERE id = %s", (200 + n,))
    source.sql.execute("CREATE TABLE weekend AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    told = hops(source)
    assert "does not answer" in told["connect"]["cause"]
    assert "nothing reads replication slot" in told["slot"]["cause"]
    source.stack.start("connect")
    source.start_worker()
    source.wait_until_served()
    source.verify()
    wait_for(lambda: all(not hop["cause"] for hop in hops(source).values()), "status finds nothing")


@pytest.mark.long
def test_a_long_open_transaction_is_no_outage(source: Source) -> None:
    """WAL is kept for it and everything else flows."""
    with psycopg.connect(source.stack.postgres.url(source.name)) as long:
        long.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 7")
        begun = time.time()
        for _ in range(5):
            source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
            source.wait_until_served()
        wait_for(lambda: time.time() - begun > 20, "longer than what counts as silence", 60)
        assert source.meta()["state"] == "live"
        assert all(not hop["cause"] for hop in hops(source).values())
    source.wait_until_served()
    source.verify()


@pytest.mark.long
def test_idle_tables_in_a_busy_database_keep_no_wal(source: Source) -> None:
    source.sql.execute("CREATE TABLE busy AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    busy = source.position()
    confirmed = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    wait_for(
        lambda: source.sql.execute(confirmed, (f"onhand_{source.name}",)).fetchone()[0] >= busy, "the slot moves on"
    )
