"""A source under test: its database, its settings file, and the commands a person would type."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
import requests

from infra.stack import Stack
from pipeline.domain.change import Position

HERE = Path(__file__).parent
ONHAND = str(Path(sys.executable).parent / "onhand")
PASSWORD = "not-in-any-log"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Poll until `condition` is true; returns its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Source:
    """One source on the shared stack. `worker` is the running process, if any."""

    def __init__(
        self, stack: Stack, name: str, pack: str = str(HERE / "pack"), schema: Path = HERE / "schema.sql"
    ) -> None:
        self.stack, self.name, self.prefix = stack, name, f"stock-{name}"
        with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        self.sql = psycopg.connect(stack.postgres.url(name), autocommit=True)
        self.sql.execute(_without_role(schema.read_text(), self.sql))
        self.begin(stack, pack, stack.postgres.url(name, user="cdc"))

    def begin(self, stack: Stack, pack: str, database: str) -> None:
        """The settings file for a database that is there."""
        self.directory = stack.directory / f"source-{self.name}"
        self.directory.mkdir()
        self.database = database
        self.password_file = stack.secret(f"{self.name}-password", PASSWORD)
        self.redis = redis.Redis.from_url(stack.redis.url, decode_responses=True)
        self.worker: subprocess.Popen[bytes] | None = None
        self.config, self.pack = self.directory / "onhand.toml", pack
        self.write_config(pack)

    def write_config(
        self,
        pack: str,
        *,
        bootstrap: str | None = None,
        redis_url: str | None = None,
        database: str | None = None,
        worker: str = "",
        source: str = "",
    ) -> None:
        """`worker` and `source` are further lines of their sections; an address may lead through a proxy."""
        self.config.write_text(f"""
[kafka]
bootstrap_servers = "{bootstrap or self.stack.kafka.bootstrap}"
connect_url = "{self.stack.connect.url}"
[redis]
url = "{redis_url or self.stack.redis.url}"
[worker]
metrics_port = 0
{worker}
[sources.{self.name}]
pack = "{pack}"
database = "{database or self.database}"
password_file = "{self.password_file}"
prefix = "{self.prefix}"
{source}
""")

    def onhand(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [ONHAND, "--config", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def apply(self) -> None:
        done = self.onhand("apply")
        assert done.returncode == 0, done.stderr

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Applied, with a running worker that serves the initial snapshot; removed from the servers afterwards."""
        try:
            self.apply()
            self.start_worker()
            wait_for(lambda: self.meta().get("state") == "live", "the first snapshot served", 300)
            yield
        finally:
            self.remove()

    @property
    def log(self) -> Path:
        return self.directory / "worker.log"

    def start_worker(self, failpoint: str | None = None) -> None:
        environment = os.environ | ({"ONHAND_FAILPOINT": failpoint} if failpoint else {})
        with self.log.open("ab") as log:
            command = [ONHAND, "--config", str(self.config), "worker"]
            self.worker = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    def stop_worker(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.worker is not None
        self.worker.send_signal(signal.SIGTERM)
        return self.worker.wait(15)

    def meta(self) -> dict[str, str]:
        return self.redis.hgetall(f"{self.prefix}:meta")

    def on_hand(self, item: str, warehouse: str) -> str | None:
        return self.redis.hget(f"{self.prefix}:{{{item}}}:{warehouse}", "on_hand")

    def position(self) -> int:
        """The ERP's own position now."""
        return int(self.sql.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()[0])

    def wait_until_served(self, seconds: float = 120) -> None:
        """Until readers see everything the ERP has committed by now."""
        wanted = self.position()
        wait_for(lambda: self._served() >= wanted, f"served up to {wanted}: {self.tail()}", seconds)

    def _served(self) -> int:
        assert self.worker is not None
        assert self.worker.poll() is None, f"the worker ended: {self.tail()}"
        try:
            return Position.parse(self.meta().get("position", "0/0")).order
        except redis.RedisError:
            return -1

    def tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    def verify(self) -> str:
        """`onhand verify`'s last line; fails unless it exits 0 with 0 differing."""
        done = self.onhand("verify", "--timeout", "60s")
        assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}\n{self.tail()}"
        line = done.stdout.strip().splitlines()[-1]
        assert line.startswith(f"verify: {self.name}: "), line
        assert line.endswith(", 0 differ"), line
        return line

    def documents(self) -> list[dict[str, str]]:
        done = self.onhand("get", "--all", "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def reconnect(self) -> None:
        """After the database has gone away."""
        self.sql.close()
        self.sql = psycopg.connect(self.stack.postgres.url(self.name), autocommit=True)

    def close(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            self.kill_worker()
        self.close_database()
        self.redis.close()

    def close_database(self) -> None:
        self.sql.close()

    def remove(self) -> None:
        """Leave nothing on the servers that would cost the next source something: connector, slot, database."""
        self.close()
        requests.delete(f"{self.stack.connect.url}/connectors/onhand-{self.name}", timeout=30)
        self.drop_database()

    def drop_database(self) -> None:
        with psycopg.connect(self.stack.postgres.dsn, autocommit=True) as admin:
            wait_for(lambda: _drop_slot(admin, f"onhand_{self.name}"), "the slot let go")
            admin.execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')


def _drop_slot(admin: psycopg.Connection, slot: str) -> bool:
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
    admin.execute(drop, (slot,))
    return admin.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (slot,)).fetchone() is None


def _without_role(schema: str, sql: psycopg.Connection) -> str:
    """Roles are the server's: the second database of a run finds it there."""
    there = sql.execute("SELECT 1 FROM pg_roles WHERE rolname = 'cdc'").fetchone()
    return "\n".join(line for line in schema.splitlines() if not (there and line.startswith("CREATE ROLE")))
