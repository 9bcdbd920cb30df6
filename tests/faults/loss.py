"""F8, F9, F13-F15: what is lost for good on the way, and must be said; then everything is read anew."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from aiokafka.admin import AIOKafkaAdminClient

from infra.stack import Stack
from tests.faults.capture import connector_tasks, tell_connector
from tests.faults.registry import LeftOut, fault
from tests.faults.run import Run

PARTS = ("postgres", "kafka", "connect", "redis")
DISK = 300 * 1024 * 1024


def _told(run: Run) -> None:
    """Readers are told, and a person who asks is told what to do."""
    run.wait(lambda: run.source.meta().get("state") in {"stale", "degraded"}, "readers are told")
    run.wait(lambda: _says_what_to_do(run), "onhand status names the fix")


def _says_what_to_do(run: Run) -> bool:
    done = run.source.onhand("status")
    return done.returncode == 10 and f"onhand apply --snapshot {run.source.name}" in done.stdout + done.stderr


def _read_anew(run: Run) -> None:
    """What `status` says."""
    done = run.source.onhand("apply", "--snapshot")
    assert done.returncode == 0, done.stderr
    run.serves_now()


def _stop_capture(run: Run) -> None:
    tell_connector(run.source, "PUT", "/stop")
    run.wait(lambda: not connector_tasks(run.source), "stopped")


def _as_superuser(run: Run, *statements: str) -> None:
    with psycopg.connect(run.stack.postgres.url(run.source.name), autocommit=True) as sql:
        for statement in statements:
            sql.execute(statement)


@fault("F9", "the log's topic deleted", hold=1)
def topic_deleted(run: Run) -> Iterator[None]:
    asyncio.run(_delete_topic(run.stack.kafka.bootstrap, f"onhand.{run.source.name}.log"))
    _told(run)
    yield
    _read_anew(run)


async def _delete_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


@fault("F13", "the database put back to a copy of a while ago: a failover that lost its tail", hold=1)
def put_back(run: Run) -> Iterator[None]:
    _restarted(run, lambda home: subprocess.run(["cp", "-a", home / "data", home / "copy"], check=True))
    run.work(100)
    run.serves_now()
    run.writers.resting = True
    _restarted(run, _swap)
    (probe,) = run.source.sql.execute("SELECT quantity FROM quant WHERE id = 100001").fetchone()
    run.writers.rewind(int(probe))
    run.writers.resting = False
    _told(run)
    yield
    _read_anew(run)


def _swap(home: Path) -> None:
    shutil.rmtree(home / "data")
    (home / "copy").rename(home / "data")


def _restarted(run: Run, meanwhile: Callable[[Path], object]) -> None:
    run.stack.stop("postgres")
    meanwhile(run.stack.postgres.home)
    run.stack.start("postgres")
    run.source.reconnect()


@fault("F14a", "replication slot dropped", hold=1)
def slot_dropped(run: Run) -> Iterator[None]:
    _stop_capture(run)
    _as_superuser(run, f"SELECT pg_drop_replication_slot('onhand_{run.source.name}')")
    run.transaction("DELETE FROM quant WHERE id BETWEEN 1 AND 40")
    tell_connector(run.source, "PUT", "/resume")
    _told(run)
    yield
    _read_anew(run)


@fault("F14b", "replication slot moved ahead by hand", hold=1)
def slot_advanced(run: Run) -> Iterator[None]:
    _stop_capture(run)
    run.transaction("DELETE FROM quant WHERE id BETWEEN 41 AND 80")
    _as_superuser(run, f"SELECT pg_replication_slot_advance('onhand_{run.source.name}', pg_current_wal_lsn())")
    _told(run)
    tell_connector(run.source, "PUT", "/resume")
    yield
    _read_anew(run)


@fault("F15", "the WAL that the slot needs removed", hold=1)
def wal_removed(run: Run) -> Iterator[None]:
    _stop_capture(run)
    _as_superuser(
        run, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()", "CREATE TABLE churn (a text)"
    )
    try:
        for _ in range(6):
            rows = "INSERT INTO churn SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
            _as_superuser(run, rows, "SELECT pg_switch_wal()", "CHECKPOINT")
        tell_connector(run.source, "PUT", "/resume")
        _told(run)
        yield
    finally:
        _as_superuser(run, "ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    _read_anew(run)


@contextmanager
def broker_on_small_disk() -> Iterator[Stack]:
    """A stack of its own whose broker writes to a file system of its own."""
    directory = Path(tempfile.mkdtemp(prefix="onhand-faults-"))
    disk = directory / "kafka"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "onhand-faults", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        shutil.rmtree(directory)
        raise LeftOut("a small disk takes the right to mount one")
    directory.chmod(0o755)
    try:
        with Stack(directory, parts=PARTS) as stack:
            yield stack
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        shutil.rmtree(directory)


@fault("F8", "the broker's disk is full, and has room again", stack=broker_on_small_disk, hold=5)
def disk_full(run: Run) -> Iterator[None]:
    ballast = run.stack.kafka.home / "ballast"
    with ballast.open("wb") as file:
        while os.statvfs(ballast).f_bavail:
            try:
                file.write(b"\0" * 65536)
                file.flush()
            except OSError:
                break
    run.wait(lambda: not run.stack.is_running("kafka"), "the broker ended", 120)
    yield
    ballast.unlink()
    run.stack.kill("kafka")
    run.stack.start("kafka")
