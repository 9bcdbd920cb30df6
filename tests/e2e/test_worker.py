"""The worker as a process: what ends it, what it waits for, and what replay leaves behind."""

import subprocess
import sys

from pipeline.adapters import kafka
from pipeline.settings import Kafka
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for

WITH_A_BUG = """
from streams import fold
def a_bug(self, record): raise RuntimeError("a bug of ours")
fold.StockFold.fold = a_bug
from pipeline.cli.main import main
main()
"""


def served(source: Source) -> dict[str, dict[str, str]]:
    keys = source.redis.keys(f"{source.prefix}:{{*")
    return {key: source.redis.hgetall(key) for key in keys}


def test_replay_into_an_empty_redis_is_byte_equal(source: Source) -> None:
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 200, "writers at work")
    source.wait_until_served()
    before = {key: fields for key, fields in served(source).items() if "deleted" not in fields}
    source.kill_worker()
    source.redis.flushall()
    source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", "projected anew")
    assert served(source) == before
    source.verify()


def test_the_worker_waits_for_redis_and_catches_up(source: Source) -> None:
    source.stack.stop("redis")
    try:
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        wait_for(lambda: "Redis does not take our writes" in source.tail(), "the worker says that it waits")
        assert source.worker is not None
        assert source.worker.poll() is None
    finally:
        source.stack.start("redis")
    source.wait_until_served()
    source.verify()


def test_two_workers_never_write_over_each_other(source: Source) -> None:
    first, log = source.worker, source.log
    source.start_worker()
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 100, "writers at work")
    source.wait_until_served()
    source.verify()
    assert source.stop_worker() == 0
    source.worker = first
    assert log.exists()
    source.wait_until_served()
    source.verify()


def test_an_unexpected_exception_ends_the_process_and_commits_nothing(source: Source) -> None:
    settings = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    group, topic = f"onhand.{source.name}", f"onhand.{source.name}.log"
    assert source.stop_worker() == 0
    before = kafka.committed(settings, group, topic)

    command = [sys.executable, "-c", WITH_A_BUG, "--config", str(source.config), "worker"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "nothing is committed" in done.stderr
    assert "Traceback" not in done.stderr
    assert kafka.committed(settings, group, topic) == before
