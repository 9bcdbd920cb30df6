"""The worker is killed at each of its failpoints under load: no version goes back, and the numbers end equal."""

import contextlib
import signal
import subprocess
from collections.abc import Callable

import pytest

from streams.failpoints import PLACES, VARIABLE
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for
from tests.faults.observer import observe


def change_nothing(source: Source) -> None:
    """The writers' changes bring the worker there."""


def empty_redis(source: Source) -> None:
    source.redis.flushall()


def alert_and_sweep(source: Source) -> None:
    """An alert opens and ends, and a table is emptied within a transaction that fills it again."""
    source.sql.execute("UPDATE quant SET reserved = 10000 - reserved WHERE id = (SELECT min(id) FROM quant)")
    with source.sql.transaction():
        source.sql.execute("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM warehouse")
        source.sql.execute("TRUNCATE warehouse")
        source.sql.execute("INSERT INTO warehouse SELECT * FROM kept")


PROVOKED: dict[str, Callable[[Source], None]] = {
    "rebuild": empty_redis,
    "alerts": alert_and_sweep,
    "notes": alert_and_sweep,
}


EVERY_TIME = ("after-redis",)


@pytest.mark.parametrize("place", [p if p in EVERY_TIME else pytest.param(p, marks=pytest.mark.long) for p in PLACES])
def test_killed_at(source: Source, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provoke = PROVOKED.get(place.partition("-")[2], change_nothing)
    assert source.stop_worker() == 0
    monkeypatch.setenv(VARIABLE, f"{place}:{1 if provoke is empty_redis else 2}")
    writers = Writers(source)
    with observe(source, writers) as reader:
        with writers:
            source.start_worker()
            monkeypatch.delenv(VARIABLE)

            assert source.worker is not None
            for _ in range(12):
                provoke(source)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    source.worker.wait(10)
            assert source.worker.returncode == -signal.SIGKILL, source.tail()
            source.start_worker()
            seen = writers.transactions
            wait_for(lambda: writers.transactions > seen + 100, "writers go on")
        source.wait_until_served()
        wait_for(
            lambda: reader.judge.last == float(source.on_hand("PROBE", "W1") or -2), "the reader saw the last value"
        )
    # a backlog larger than one call is shown in parts, and says so: only then may a transfer be half done
    assert (reader.judge.wrong, reader.judge.lies) == ([], [])
    source.verify()


def test_a_worker_with_an_unknown_failpoint_does_not_start(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "after-lunch:1")
    done = source.onhand("worker")
    assert done.returncode == 2
    assert "no such failpoint" in done.stderr
    assert "unset ONHAND_FAILPOINT" in done.stderr
