"""A source on MariaDB, from its binlog to Redis: under load, through kills, and while it is idle."""

import json
import random
import threading
from collections.abc import Iterator

import pymysql
import pytest
import requests

from infra.stack import Stack
from pipeline.domain.change import Position
from tests.e2e.source import HERE, Source, wait_for

FOLDER = HERE / "mariadb"
STATEMENTS = (
    "UPDATE quant SET quantity = quantity + {n} WHERE id = {row}",
    "UPDATE quant SET location_id = {place}, lot = NULLIF({n}, 3) WHERE id = {row}",
    "UPDATE quant SET due = CURRENT_DATE + INTERVAL {n} DAY - INTERVAL 4 DAY WHERE id = {row}",
    "DELETE FROM quant WHERE id = {row}",
    "INSERT INTO quant (item_id, location_id, quantity) VALUES ({item}, {place}, {n})",
    "INSERT INTO unread (x) VALUES ({n})",
    "UPDATE item SET code = CONCAT('I', {n}, '-', id) WHERE id = {item}",
)


class MariadbSource(Source):
    """A source whose database is on the stack's MariaDB."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.name, self.prefix = stack, name, f"stock-{name}"
        stack.start("mariadb")
        self.connect()
        self.execute(*(FOLDER / "schema.sql").read_text().format(name=name).strip().rstrip(";").split(";\n"))
        self.begin(stack, str(FOLDER), stack.mariadb.url(name, f"cdc_{name}"))

    def connect(self) -> None:
        self.admin = pymysql.connect(unix_socket=self.stack.mariadb.socket, user="root", autocommit=True)
        self.execute(f"CREATE DATABASE IF NOT EXISTS `{self.name}`", f"USE `{self.name}`")

    def execute(self, *statements: str) -> None:
        with self.admin.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def position(self) -> int:
        with self.admin.cursor() as cursor:
            cursor.execute("SELECT @@gtid_binlog_pos")
            return Position.parse(cursor.fetchone()[0]).order

    def close_database(self) -> None:
        self.admin.close()

    def drop_database(self) -> None:
        self.connect()
        self.execute(f"DROP DATABASE `{self.name}`")
        self.admin.close()


class Load(threading.Thread):
    """Random transactions of one to six statements until stopped."""

    def __init__(self, source: MariadbSource, seed: int) -> None:
        super().__init__()
        self.transactions, self._stop_it, self._rng = 0, threading.Event(), random.Random(seed)
        self._sql = pymysql.connect(unix_socket=source.stack.mariadb.socket, user="root", database=source.name)

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_it.set()
        self.join()
        self._sql.close()

    def run(self) -> None:
        rng = self._rng
        while not self._stop_it.wait(0.003):
            with self._sql.cursor() as cursor:
                for _ in range(rng.randint(1, 6)):
                    numbers = {"n": rng.randint(1, 9), "row": rng.randint(1, 3500), "item": rng.randint(1, 200)}
                    cursor.execute(rng.choice(STATEMENTS).format(**numbers, place=rng.randint(1, 30)))
            self._sql.rollback() if rng.random() < 0.05 else self._sql.commit()
            self.transactions += 1


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[MariadbSource]:
    source = MariadbSource(stack, "maria")
    with source.attached():
        yield source


def test_a_snapshot_is_proved_while_the_source_is_idle(source: MariadbSource) -> None:
    source.verify()
    wait_for(lambda: source.meta().get("quiet") == "1", "the source is found idle")


def test_a_change_is_readable_with_its_gtid(source: MariadbSource) -> None:
    source.execute(
        "INSERT INTO item VALUES (900, 'NEW', NULL)",
        "INSERT INTO quant (item_id, location_id, quantity) VALUES (900, 1, 2.5)",
    )
    wait_for(lambda: source.on_hand("NEW", "W2") == "2.5000", "the new item")
    assert source.meta()["position"].count("-") == 2
    source.verify()


def test_under_load_through_kills_nothing_differs(source: MariadbSource) -> None:
    with Load(source, 1) as one, Load(source, 2):
        wait_for(lambda: one.transactions > 100, "at work")
        source.stack.kill("connect")
        source.kill_worker()
        source.start_worker()
        source.stack.start("connect")
        seen = one.transactions
        wait_for(lambda: one.transactions > seen + 100, "at work")
        done = source.onhand("verify", "--timeout", "10s")
        assert done.returncode == 0, done.stdout + done.stderr
    source.wait_until_served()
    source.stack.kill("mariadb")
    source.stack.start("mariadb")
    source.connect()
    with Load(source, 3) as load:
        wait_for(lambda: load.transactions > 50, "at work")
    source.wait_until_served()
    source.verify()


def test_what_is_defined_anew_is_no_open_transaction(source: MariadbSource) -> None:
    source.execute("ALTER TABLE unread ADD y int", "TRUNCATE TABLE quant")
    wait_for(lambda: not [d for d in source.documents() if d["warehouse"]], "all stock is gone")
    source.execute("INSERT INTO quant (item_id, location_id, quantity) SELECT id, 1, 7 FROM item")
    source.wait_until_served()
    source.verify()


def test_a_figure_is_explained_and_one_item_verified(source: MariadbSource) -> None:
    source.execute(
        "INSERT INTO item VALUES (901, 'SHOWN', NULL)",
        "INSERT INTO quant (item_id, location_id, quantity) VALUES (901, 1, 2.5), (901, 4, 1)",
    )
    source.wait_until_served()
    done = source.onhand("explain", "SHOWN", "W2", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert sorted(row["on_hand"] for row in json.loads(done.stdout)["rows"]) == ["1.0000", "2.5000"]
    done = source.onhand("verify", "--item", "SHOWN")
    assert (done.returncode, " 0 differ" in done.stdout) == (0, True), done.stderr


@pytest.mark.long
def test_a_purged_binary_log_is_told_with_what_mends_it(source: MariadbSource) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/stop", timeout=10).raise_for_status()
    wait_for(lambda: not requests.get(f"{connector}/status", timeout=10).json()["tasks"], "stopped")
    source.execute(
        "DELETE FROM quant WHERE item_id < 9", "FLUSH BINARY LOGS", "INSERT INTO item VALUES (950, 'LATER', NULL)"
    )
    with source.admin.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        newest = cursor.fetchall()[-1][0]
    source.execute("FLUSH BINARY LOGS", f"PURGE BINARY LOGS TO '{newest}'")
    requests.put(f"{connector}/resume", timeout=10).raise_for_status()
    wait_for(lambda: source.meta()["state"] == "stale", "readers are told", 180)
    fix = "onhand apply --snapshot maria"
    wait_for(lambda: fix in source.onhand("status").stderr, "status names the fix", 60)
    source.kill_worker()
    done = source.onhand(*fix.split()[1:])
    assert done.returncode == 0, done.stderr
    source.start_worker()
    source.wait_until_served()
    source.verify()


def test_a_pack_of_another_dialect_is_refused(source: MariadbSource) -> None:
    source.write_config(str(HERE / "pack"))
    done = source.onhand("apply")
    assert done.returncode == 2
    assert "speaks postgres, the database of [sources.maria] mysql" in done.stderr
    source.write_config(str(FOLDER))
