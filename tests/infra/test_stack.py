"""The local stack: apart from others, back after a kill, gone at the end, clear when a part does not come up."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import requests

from infra.stack import DEFAULT_PARTS, Stack
from infra.stack.postgres import Postgres
from pipeline.domain.errors import NotReadyError, UsageError

SMALL = ("postgres", "redis")


def processes_of(stack: Stack) -> list[psutil.Process]:
    servers = [psutil.Process(pid) for name in stack.logs if (pid := stack.pid(name))]
    return [process for server in servers for process in (server, *server.children(recursive=True))]


def live(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_two_stacks_do_not_touch_each_other():
    with Stack(parts=SMALL) as one, Stack(parts=SMALL) as two:
        assert one.directory != two.directory
        assert not {one.postgres.port, one.redis.port} & {two.postgres.port, two.redis.port}
        with redis.Redis.from_url(one.redis.url) as ours, redis.Redis.from_url(two.redis.url) as theirs:
            ours.set("owner", "one")
            theirs.set("owner", "two")
            assert ours.get("owner") == b"one"
        one.kill("redis")
        assert two.is_running("redis")


def test_a_killed_part_comes_back_with_its_data_on_its_port():
    with Stack(parts=SMALL) as stack:
        before = {name: (stack.pid(name), getattr(stack, name).port) for name in SMALL}
        with psycopg.connect(stack.postgres.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(stack.redis.url) as client:
            client.set("kept", "42")
        for name in SMALL:
            stack.kill(name)
        assert not any(map(stack.is_running, SMALL))

        stack.start(*SMALL)
        for name, (pid, port) in before.items():
            assert stack.pid(name) != pid
            assert getattr(stack, name).port == port
        with psycopg.connect(stack.postgres.dsn) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis.from_url(stack.redis.url) as client:
            assert client.get("kept") == b"42"


def test_a_given_directory_is_kept_with_its_data(tmp_path: Path):
    with Stack(tmp_path / "stack", parts=["redis"]) as stack, redis.Redis.from_url(stack.redis.url) as client:
        client.set("kept", "yes")
    with Stack(tmp_path / "stack", parts=["redis"]) as stack, redis.Redis.from_url(stack.redis.url) as client:
        assert client.get("kept") == b"yes"


def test_nothing_is_left_behind():
    with Stack(parts=SMALL) as stack:
        started = processes_of(stack)
        assert len(started) > len(SMALL)
    assert not live(started)
    assert not stack.directory.exists()


def test_a_part_that_fails_names_its_log_and_takes_the_others_along(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("infra.stack.redis.SETTINGS", "maxmemory-policy no-such-policy\n")
    seen: list[psutil.Process] = []
    stack = Stack(parts=SMALL)
    launch = stack.postgres.launch
    monkeypatch.setattr(
        stack.postgres, "launch", lambda: (launch(), seen.append(psutil.Process(stack.pid("postgres"))))
    )
    with pytest.raises(NotReadyError, match="redis ended with exit code 1") as refused, stack:
        pass
    assert str(stack.logs["redis"]) in str(refused.value)
    assert "no-such-policy" in str(refused.value)
    assert stack.logs["redis"].exists()
    assert seen
    assert not live(seen)
    shutil.rmtree(stack.directory)


def test_a_part_that_dies_is_reported():
    with Stack(parts=["redis"]) as stack:
        stack.check()
        os.kill(stack.pid("redis"), signal.SIGKILL)
        while stack.is_running("redis"):
            continue
        with pytest.raises(NotReadyError, match="redis ended with exit code -9"):
            stack.check()


def test_closing_ends_a_start_that_runs_beside(monkeypatch: pytest.MonkeyPatch):
    stack = Stack(parts=())
    asked = threading.Event()
    monkeypatch.setattr(stack.redis, "is_ready", lambda: bool(asked.set()))
    with ThreadPoolExecutor(1) as beside, stack:
        starting = beside.submit(stack.start, "redis")
        assert asked.wait(30)
    with pytest.raises(NotReadyError, match="redis was stopped while it started"):
        starting.result(30)
    with pytest.raises(NotReadyError, match="the stack has been closed"):
        stack.start("redis")


def test_an_unknown_part_is_refused():
    with pytest.raises(UsageError, match="no part oracle"):
        Stack(parts=["oracle"])


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_the_servers(ending: signal.Signals):
    command = [sys.executable, "-m", "infra.stack", "--parts", "redis"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ours:
        assert ours.stderr
        while "running until Ctrl-C" not in ours.stderr.readline():
            assert ours.poll() is None
        servers = psutil.Process(ours.pid).children(recursive=True)
        assert [server.name() for server in servers] == ["redis-server"]
        ours.send_signal(ending)
        assert "Traceback" not in ours.stderr.read()
    assert not live(servers)


def test_roles_need_their_password(postgres: Postgres):
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
    psycopg.connect(postgres.url("postgres", "guest"), password="right").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("postgres", "guest"), password="wrong")


def test_secrets_are_for_the_owner_only(servers: Stack):
    secret = servers.secret("cdc.properties", "password=x")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert servers.secrets.stat().st_mode & 0o777 == 0o700
    assert servers.secrets.stat().st_uid == os.geteuid()


def test_every_part_listens_on_loopback_only(stack: Stack):
    sockets = {
        (process.name(), connection.laddr.ip)
        for process in processes_of(stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len({name for name, _ in sockets}) >= len(DEFAULT_PARTS) - 1  # Kafka and Connect are both java
    assert {address.removeprefix("::ffff:") for _, address in sockets} == {"127.0.0.1"}


def test_connect_offers_debezium(stack: Stack):
    plugins = {plugin["class"] for plugin in requests.get(f"{stack.connect.url}/connector-plugins", timeout=10).json()}
    assert "io.debezium.connector.postgresql.PostgresConnector" in plugins
    assert "io.debezium.connector.mariadb.MariaDbConnector" in plugins


def test_connect_reads_secrets_from_their_folder_only(stack: Stack, tmp_path: Path):
    inside = stack.secret("allowed.properties", "database=resolved\n")
    outside = tmp_path / "outside.properties"
    outside.write_text("database=leaked\n")

    def complaint(secret: Path) -> str:
        config = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "name": "unused",
            "topic.prefix": "unused",
            "plugin.name": "pgoutput",
            "database.hostname": stack.postgres.host,
            "database.port": str(stack.postgres.port),
            "database.user": "postgres",
            "database.dbname": f"${{file:{secret}:database}}",
        }
        url = f"{stack.connect.url}/connector-plugins/PostgresConnector/config/validate"
        return requests.put(url, json=config, timeout=30).text

    assert "resolved" in complaint(inside)
    assert "leaked" not in complaint(outside)


def test_prometheus_has_the_rules_and_scrapes_the_worker(stack: Stack):
    def api(path: str) -> dict:
        return requests.get(f"{stack.prometheus.url}/api/v1/{path}", timeout=10).json()["data"]

    scraped = {target["labels"]["job"]: target["scrapeUrl"] for target in api("targets")["activeTargets"]}
    assert scraped["onhand"] == f"http://127.0.0.1:{stack.metrics_port}/metrics"
    assert scraped["onhand-redis"] == f"{stack.redis_exporter.url}/metrics"
    rules = [rule["name"] for group in api("rules")["groups"] for rule in group["rules"]]
    assert "OnhandAvailableBelowZero" in rules
