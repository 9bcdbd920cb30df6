"""A mapping that reads more: rows are read again beside the stream, and the old numbers are served until it is done."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.adapters import signals, sources
from pipeline.adapters.connect import Connect
from pipeline.domain.errors import OnhandError
from pipeline.settings import Kafka
from tests.e2e.load import Writers
from tests.e2e.source import HERE, ONHAND, Source, wait_for
from tests.faults.observer import observe

PATIENCE_S = 300
pytestmark = pytest.mark.timeout(6 * PATIENCE_S)
COLUMN = (
    "ALTER TABLE quant ADD blocked boolean NOT NULL DEFAULT false",
    "GRANT SELECT (blocked) ON quant TO cdc",
    "ALTER PUBLICATION onhand SET TABLE warehouse (id, code), location (id, code, usage, warehouse_id),"
    " item (id, code), quant (id, item_id, location_id, lot, quantity, reserved, secret_price, blocked)",
)
TABLE = (
    "CREATE TABLE hold (quant_id int PRIMARY KEY, held numeric(18,4) NOT NULL)",
    "INSERT INTO hold SELECT id, 1 FROM quant WHERE id % 3 = 0 AND id < 100000",
    "GRANT SELECT ON hold TO cdc",
    "ALTER PUBLICATION onhand ADD TABLE hold (quant_id, held)",
)


@pytest.fixture
def pack(source: Source, tmp_path: Path) -> Path:
    """The source's pack, to be changed."""
    pack = tmp_path / "pack"
    shutil.copytree(HERE / "pack", pack)
    source.write_config(str(pack))
    return pack


def change(pack: Path, old: str, new: str) -> None:
    text = (pack / "stock.sql").read_text()
    assert old in text
    (pack / "stock.sql").write_text(text.replace(old, new))


def broker(source: Source) -> Kafka:
    return Kafka(bootstrap_servers=source.stack.kafka.bootstrap, connect_url=source.stack.connect.url)


def digest(source: Source) -> str:
    return sources.load_applied(broker(source), source.name).digest


class Watch:
    """Reads all the while, as an app that honours `state`: `digests` served one after the other, what was `wrong`."""

    def __init__(self, source: Source) -> None:
        self._source, self._stop = source, threading.Event()
        self.digests: list[str] = []
        self.states: set[str] = set()
        self.wrong: list[str] = []
        self._last = -1.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        levels = [f"{self._source.prefix}:{{{level}" for level in ("PROBE}:W1", "PAIR}:W1", "PAIR}:W3")]
        while not self._stop.wait(0.01):
            pipe = self._source.redis.pipeline(transaction=True)
            pipe.hgetall(f"{self._source.prefix}:meta")
            for level in levels:
                pipe.hget(level, "on_hand")
            self._check(*pipe.execute())

    def _check(self, meta: dict[str, str], *figures: str | None) -> None:
        self.states.add(meta.get("state", ""))
        if meta.get("digest") not in self.digests[-1:]:
            self.digests.append(meta.get("digest", ""))
        if None in figures:
            self.wrong.append(f"a figure is missing: {figures}")
            return
        probe, left, right = (float(figure or 0) for figure in figures)
        if probe < self._last:
            self.wrong.append(f"the probe went back from {self._last} to {probe}")
        self._last = probe
        if meta.get("state") == "live" and left + right != 1_000_000:
            self.wrong.append(f"a half-done transfer: {left} + {right}")


def apply(source: Source) -> None:
    done = source.onhand("apply", timeout=2 * PATIENCE_S)
    assert done.returncode == 0, done.stderr


def served_again(source: Source) -> None:
    """The worker ends where the log says that another mapping is applied; started again, it serves that one."""
    assert source.worker is not None
    assert source.worker.wait(PATIENCE_S) == 1, source.tail()
    assert "applied again with another mapping" in source.tail()
    source.start_worker()
    wait_for(
        lambda: source.meta().get("digest") == digest(source), f"the new mapping served: {source.tail()}", PATIENCE_S
    )


def everything_killed(source: Source) -> None:
    """An `apply` that is killed together with the worker and Kafka Connect while rows are read again."""
    command = [ONHAND, "--config", str(source.config), "apply"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as apply:
        wait_for(lambda: sources.find_pending(broker(source), source.name), "the mapping waits", PATIENCE_S)
        wait_for(lambda: connector_state(source) == "RUNNING", "rows are about to be read again", PATIENCE_S)
        source.stack.kill("connect")
        apply.kill()
        source.kill_worker()
    source.stack.start("connect")
    source.start_worker()
    wait_for(lambda: connector_state(source) == "RUNNING", "captured again", PATIENCE_S)


def connector_state(source: Source) -> str:
    try:
        state = Connect(broker(source)).state(f"onhand-{source.name}")
    except OnhandError:
        return ""
    return state.task if state is not None else ""


def test_a_new_column_then_a_new_table_under_load_with_everything_killed(source: Source, pack: Path) -> None:
    old = digest(source)
    with Watch(source) as watch, Writers(source, patient=True) as writers:
        wait_for(lambda: writers.transactions > 100, "writers at work")
        source.sql.execute(";".join(COLUMN))
        source.sql.execute("UPDATE quant SET blocked = true WHERE id % 5 = 0 AND id < 100000")
        change(pack, "l.usage = 'internal'", "l.usage = 'internal' AND NOT q.blocked")
        everything_killed(source)
        assert digest(source) == old
        apply(source)
        served_again(source)
        second = digest(source)
        source.sql.execute(";".join(TABLE))
        change(pack, "SUM(q.reserved)", "SUM(COALESCE(q.reserved, 0) + COALESCE(h.held, 0))")
        change(pack, "WHERE l.usage", "LEFT JOIN hold h ON h.quant_id = q.id\nWHERE l.usage")
        apply(source)
        served_again(source)
        seen = writers.transactions
        wait_for(lambda: writers.transactions > seen + 100, "writers go on")
    source.wait_until_served(PATIENCE_S)
    assert watch.wrong == []
    # stale while Connect is dead; never degraded, never replaying
    assert watch.states <= {"live", "applying", "rebuilding", "stale"}
    assert watch.digests == [old, second, digest(source)]
    assert source.meta()["quarantined"] == "0"
    source.verify()


@pytest.mark.long
def test_rows_read_again_while_connect_lags_and_is_killed(source: Source) -> None:
    """No older reading wins over a newer change, and none that is ahead of the stream is shown before its time."""
    loaded = settings.load(source.config)
    connect, name, wished = Connect(broker(source)), f"onhand-{source.name}", loaded.source()
    writers = Writers(source, pause=0.001)
    with observe(source, writers) as reader:
        with writers:
            for killed in (False, True, False):
                connect.pause(name)
                wait_for(lambda: connector_state(source) == "PAUSED", "no capture", PATIENCE_S)
                seen = writers.transactions
                wait_for(lambda seen=seen: writers.transactions > seen + 400, "a backlog", PATIENCE_S)
                signals.read_again(
                    broker(source), wished, {"public.quant": None, "public.item": "id > 1000"}, f"{seen}"
                )
                notices = signals.Notices(broker(source), wished, f"{seen}", 0)
                connect.resume(name)
                wait_for(lambda n=notices: n.look() or n.heard, "it begins", PATIENCE_S)
                if killed:
                    source.stack.kill("connect")
                    source.stack.start("connect")
                    wait_for(lambda: connector_state(source) == "RUNNING", "captured again", PATIENCE_S)
                else:
                    wait_for(lambda n=notices: n.look() or n.ended, "it ends", PATIENCE_S)
                    assert notices.tables == {"public.quant": "SUCCEEDED", "public.item": "SUCCEEDED"}
        source.wait_until_served(PATIENCE_S)
        wait_for(
            lambda: reader.judge.last == float(source.on_hand("PROBE", "W1") or -2), "the reader saw the last value"
        )
    assert reader.judge.wrong == []
    assert source.meta()["quarantined"] == "0"
    source.verify()
