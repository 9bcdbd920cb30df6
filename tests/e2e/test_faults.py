"""Every part is killed under load; nothing half-done is ever read, and the numbers end equal to the ERP's."""

from collections.abc import Callable

import pytest

from tests.e2e.load import Reader, Writers
from tests.e2e.source import Source, wait_for


def kill_the_worker(source: Source) -> None:
    source.kill_worker()
    source.start_worker()


def kill_connect(source: Source) -> None:
    source.stack.kill("connect")
    source.stack.start("connect")


def kill_redis(source: Source) -> None:
    source.stack.kill("redis")
    source.stack.start("redis")


def flush_redis(source: Source) -> None:
    source.redis.flushall()
    wait_for(lambda: source.meta().get("state") == "live", "projected anew")


def restart_kafka(source: Source) -> None:
    source.stack.stop("kafka")
    source.stack.start("kafka")


def kill_kafka(source: Source) -> None:
    source.stack.kill("kafka")
    source.stack.start("kafka")


@pytest.mark.parametrize(
    "fault",
    [kill_the_worker, kill_connect, kill_redis, flush_redis, restart_kafka, kill_kafka],
    ids=lambda f: f.__name__,
)
def test_numbers_survive(source: Source, fault: Callable[[Source], None]) -> None:
    with Reader(source) as reader:
        with Writers(source) as writers:
            wait_for(lambda: writers.transactions > 150, "writers at work")
            fault(source)
            seen = writers.transactions
            wait_for(lambda: writers.transactions > seen + 150, "writers go on")
        source.wait_until_served()
        wait_for(lambda: reader.last == float(source.on_hand("PROBE", "W1") or -2), "the reader saw the last value")
    assert reader.wrong == []
    assert reader.reads > 100
    committed = source.sql.execute("SELECT quantity FROM quant WHERE id = 100001").fetchone()
    assert reader.last == float(committed[0])
    source.verify()


def test_a_stopped_worker_leaves_in_seconds_and_resumes(source: Source) -> None:
    assert source.stop_worker() == 0
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 50, "writers at work")
    source.start_worker()
    source.wait_until_served()
    source.verify()
