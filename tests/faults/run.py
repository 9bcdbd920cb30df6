"""One fault on one source: load, cause, cure, and then the numbers must be the ERP's, to the byte."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import redis

from pipeline.adapters import kafka
from pipeline.settings import Kafka
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for
from tests.faults.duplicates import count_duplicates
from tests.faults.observer import Judge, observe
from tests.faults.registry import Fault, LeftOut

GATE = "SELECT 1 FROM quant WHERE id = 100002 FOR UPDATE"  # every writer's transaction begins with this row
PATIENCE_S = 240
REVIVALS = 8


class Run:
    """What a fault may use: the source, its servers, the writers at work, and chances by the seed."""

    def __init__(self, fault: Fault, source: Source, writers: Writers, seed: int) -> None:
        self.fault, self.source, self.stack, self.writers = fault, source, source.stack, writers
        self.rng = random.Random(f"{fault.id}/{seed}")
        self.broker = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
        self.revived = 0
        self.note = ""
        """What the seed chose, for the report."""

    def log_end(self) -> int:
        """The offset that the next record of the log gets."""
        return kafka.end_offset(self.broker, f"onhand.{self.source.name}.log")

    def work(self, transactions: int, seconds: float = 120) -> None:
        """Until the writers have committed so many more."""
        seen = self.writers.transactions
        wait_for(lambda: self.writers.transactions >= seen + transactions, "writers go on", seconds)

    def transaction(self, *statements: str, gate: str = GATE) -> None:
        """One transaction of ours; the writers wait for it, so there is no deadlock."""
        with psycopg.connect(self.stack.postgres.url(self.source.name)) as sql:
            for statement in (gate, *statements):
                sql.execute(statement)

    def alone(self, *statements: str) -> None:
        """One transaction that needs the table itself: the writers have not begun theirs."""
        self.transaction(*statements, gate="LOCK TABLE quant IN ACCESS EXCLUSIVE MODE")

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
        """`wait_for` beside a supervisor: a worker that ended is started again, as a service manager would."""

        def looked() -> Any:
            self._supervise()
            try:
                return condition()
            except redis.RedisError:
                return False

        try:
            return wait_for(looked, what, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; {self.source.meta()}; worker: {self.source.tail()[-600:]}") from None

    def _supervise(self) -> None:
        worker = self.source.worker
        if worker is None or worker.poll() is None:
            return
        assert self.revived < REVIVALS, f"the worker ends again and again: {self.source.tail()[-600:]}"
        self.revived += 1
        self.source.start_worker()

    def serves_now(self) -> None:
        """Wait until readers see what the ERP has committed by now, and are told that it is live."""
        wanted = self.source.position()
        self.wait(lambda: self._serves(wanted), f"live and served up to {wanted}")

    def _serves(self, wanted: int) -> bool:
        meta = self.source.meta()
        return meta.get("state") == "live" and served_position(meta) >= wanted


def served_position(meta: dict[str, str]) -> int:
    high, _, low = meta.get("position", "0/0").partition("/")
    return (int(high, 16) << 32) + int(low, 16)


@dataclass
class Outcome:
    """One line of the report."""

    fault: Fault
    seed: int
    seconds: float = 0.0
    max_age: float = 0.0
    recovery: float = 0.0
    duplicates: int = 0
    revived: int = 0
    silent: bool = False
    note: str = ""
    why: str = ""
    left_out: str = ""

    @property
    def title(self) -> str:
        return f"{self.fault.title} ({self.note})" if self.note else self.fault.title

    @property
    def converged(self) -> bool:
        return not self.why

    @property
    def word(self) -> str:
        return "left out" if self.left_out else "converged" if self.converged else "SILENT" if self.silent else "FAILED"

    @property
    def verdict(self) -> str:
        return f"{self.word}: {self.left_out or self.why}".removesuffix(": ")


def run(fault: Fault, source: Source, seed: int, *, replay: bool = True) -> Outcome:
    """Put one source through one fault. Never raises: whatever goes wrong is the verdict."""
    outcome, begun = Outcome(fault, seed), time.monotonic()
    try:
        _run(fault, source, seed, outcome, replay=replay)
    except LeftOut as e:
        outcome.left_out = str(e)
    except Exception as e:  # noqa: BLE001 - the campaign goes on with the next fault
        outcome.why = outcome.why or f"{type(e).__name__}: {e}"
    outcome.seconds = time.monotonic() - begun
    return outcome


def _run(fault: Fault, source: Source, seed: int, outcome: Outcome, *, replay: bool) -> None:
    broker = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    log = f"onhand.{source.name}.log"
    offset = kafka.end_offset(broker, log)
    writers = Writers(source, pause=0.01, seed=seed, patient=True)
    observer = observe(source, writers, puts_back=fault.puts_back, unsettled=fault.unsettled)
    judge, it = observer.judge, Run(fault, source, writers, seed)
    with observer:
        try:
            with writers:
                outcome.recovery = _under_load(it)
            it.serves_now()
            wait_for(lambda: judge.last == writers.highest, "the reader saw the last value", 10)
        finally:
            outcome.max_age, outcome.revived = judge.max_age, it.revived
            outcome.silent, outcome.note = bool(judge.lies), it.note
    _compare(it, judge, outcome)
    if replay:
        _replay(it)
    outcome.revived, outcome.duplicates = it.revived, count_duplicates(broker, log, offset)


def _under_load(it: Run) -> float:
    """Cause, load, cure; the seconds from the cure's beginning until readers see the present again."""
    it.work(0 if it.fault.bare else 80)
    steps = it.fault.inject(it)
    try:
        next(steps)
        time.sleep(it.fault.hold)
        cure = time.monotonic()
        assert next(steps, None) is None
    finally:
        steps.close()
    it.serves_now()
    recovered = time.monotonic() - cure
    it.work(40)
    return recovered


def _compare(it: Run, judge: Judge, outcome: Outcome) -> None:
    assert judge.reads > 50, "the reader hardly read"
    assert not judge.lies, f"{len(judge.lies)} lies: {judge.lies[0]}"
    assert not judge.wrong, f"{len(judge.wrong)} wrong reads: {judge.wrong[0]}"
    meta = it.source.meta()
    assert meta["quarantined"] == "0", f"{meta['quarantined']} rows in quarantine"
    done = it.source.onhand("verify", "--timeout", "60s")
    said = done.stdout.strip().rpartition("\n")[2]
    outcome.silent |= done.returncode == 10  # the numbers are wrong, and the state above was live
    assert done.returncode == 0, f"verify: {said} {done.stderr[-500:]}"
    assert said.endswith(", 0 differ"), said


def _replay(it: Run) -> None:
    """A new worker with an empty Redis writes the same bytes."""
    source = it.source
    before = _documents(source)
    if source.worker.poll() is None:
        source.kill_worker()
    source.redis.delete(*source.redis.keys(f"{source.prefix}:*"))
    source.start_worker()
    it.wait(lambda: source.meta().get("state") == "live", "projected anew")
    after = _documents(source)
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    assert not differing, f"replay differs in {len(differing)} keys, such as {differing[0]}: " + (
        f"{before.get(differing[0])} became {after.get(differing[0])}"
    )


def _documents(source: Source) -> dict[str, dict[str, str]]:
    keys = sorted(source.redis.keys(f"{source.prefix}:{{*"))
    pipe = source.redis.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    read = zip(keys, pipe.execute(), strict=True)
    return {key: fields for key, fields in read if "deleted" not in fields}
