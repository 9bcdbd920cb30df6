"""F1-F4: the worker."""

import os
import signal
import time
from collections.abc import Iterator

from streams import failpoints
from tests.e2e.source import Source
from tests.faults.registry import fault
from tests.faults.run import Run


@fault("F1a", "worker killed", short=True)
def killed(run: Run) -> Iterator[None]:
    run.source.kill_worker()
    yield
    run.source.start_worker()


@fault("F1b", "worker killed at random, five times", hold=0)
def killed_again_and_again(run: Run) -> Iterator[None]:
    for _ in range(5):
        run.source.kill_worker()
        run.source.start_worker()
        time.sleep(run.rng.uniform(0.5, 4))  # while it starts, replays, or serves
    yield


@fault("F1c", "worker told to end while it works", short=True)
def ended(run: Run) -> Iterator[None]:
    assert run.source.stop_worker() == 0
    yield
    run.source.start_worker()


@fault("F1d", "worker killed at each of its failpoints", hold=0)
def killed_at_failpoints(run: Run) -> Iterator[None]:
    places = [place for place in failpoints.PLACES if place.partition("-")[2] in {"fold", "redis", "call", "commit"}]
    run.rng.shuffle(places)
    for place in places:
        run.source.kill_worker()
        run.source.start_worker(failpoint=f"{place}:{run.rng.randint(1, 5)}")
        assert run.source.worker.wait(90) == -signal.SIGKILL, run.source.tail()
    yield
    run.source.start_worker()


@fault("F2a", "worker stands still for 5 s", short=True, hold=5)
def paused(run: Run) -> Iterator[None]:
    with stopped(run.source):
        yield


class stopped:  # noqa: N801 - reads as a verb
    """The source's worker does not run while the block lasts."""

    def __init__(self, source: Source) -> None:
        self._pid = source.worker.pid
        assert source.worker.poll() is None

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


@fault("F2b", "worker stands still past its session, another takes over, it comes back", hold=15)
def zombie(run: Run) -> Iterator[None]:
    first = run.source.worker
    with stopped(run.source):
        run.source.start_worker()  # `source.worker` is the second one from here on
        yield
        run.serves_now()
    time.sleep(3)  # the first writes what it had in hand, if anything let it
    first.kill()
    first.wait()


@fault("F3", "a second worker joins and leaves under load", hold=0)
def joining(run: Run) -> Iterator[None]:
    first = run.source.worker
    for _ in range(3):
        run.source.start_worker()
        second = run.source.worker
        time.sleep(run.rng.uniform(2, 6))
        leaves = run.rng.choice((first, second))
        first = second if leaves is first else first
        leaves.send_signal(run.rng.choice((signal.SIGTERM, signal.SIGKILL)))
        leaves.wait(30)
        run.source.worker = first
    yield


def on_disk(source: Source) -> None:
    folder = f'[worker]\ndirectory = "{source.directory / "rows"}"'
    source.config.write_text(source.config.read_text().replace("[worker]", folder) + 'rows = "disk"\n')


@fault("F4", "rows on disk cut off, overwritten, deleted while the worker is dead", prepare=on_disk, hold=0)
def disk_lost(run: Run) -> Iterator[None]:
    rows = run.source.directory / "rows" / run.source.name / "rows.lmdb"
    for spoil in (_cut_off, _overwrite, _delete):
        run.source.kill_worker()
        assert rows.stat().st_size > 100_000
        spoil(rows)
        run.source.start_worker()
        run.serves_now()
    yield


def _cut_off(rows: os.PathLike[str]) -> None:
    os.truncate(rows, 5000)


def _overwrite(rows: os.PathLike[str]) -> None:
    with open(rows, "r+b") as file:  # noqa: PTH123 - a path of any kind
        file.write(b"\xa5" * 50_000)


def _delete(rows: os.PathLike[str]) -> None:
    os.unlink(rows)  # noqa: PTH108 - as above
