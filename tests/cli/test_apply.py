"""`onhand apply`: what it sets up, and that nothing is set up when anything is not as it must be."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from infra.stack.part import Part
from infra.stack.postgres import Postgres
from infra.stack.redis import Redis
from infra.stack.site import Site as Place
from pipeline.adapters import control, kafka, sources
from tests.cli.site import SECRET, Site


def test_a_source_is_set_up_once_and_left_alone_the_second_time(site: Site) -> None:
    first = site.onhand("apply", "-o", "json")
    assert first.returncode == 0, first.stderr
    assert {(d["part"], d["done"]) for d in json.loads(first.stdout)} == {
        ("topic", "set up"), ("source", "set up"), ("connector", "set up")
    }  # fmt: skip
    second = site.onhand("apply", "-o", "json")
    assert {d["done"] for d in json.loads(second.stdout)} == {"was as it must be"}
    applied = sources.load_applied(site.kafka, site.name)
    assert applied.schema.tables["public.quant"].columns["quantity"].type == "numeric(12,3)"
    assert applied.topics == {"log": f"onhand.{site.name}.log", "alerts": f"onhand.{site.name}.alerts"}
    assert control.epoch_of(site.kafka, applied.topics["log"]) == applied.epoch
    log = kafka.settings_of(site.kafka, applied.topics["log"])
    assert log is not None
    assert {name: log[name] for name in kafka.LOG} == kafka.LOG


def test_the_applied_time_moves_with_the_mapping_and_the_epoch_does_not(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    before = sources.load_applied(site.kafka, site.name)
    (site.pack / "stock.sql").write_text((site.pack / "stock.sql").read_text() + "  AND q.quantity <> 0\n")
    assert site.onhand("apply").returncode == 0
    after = sources.load_applied(site.kafka, site.name)
    assert (after.epoch, after.digest != before.digest) == (before.epoch, True)
    assert after.applied_at > before.applied_at


def test_rows_are_read_again_for_a_column_that_the_log_lacks_and_no_published_column_may_stand_out(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    _wait(lambda: kafka.end_offset(site.kafka, f"onhand.{site.name}.log") > control.CONTROL_RECORDS)
    before = sources.load_applied(site.kafka, site.name)
    (site.pack / "stock.sql").write_text((site.pack / "stock.sql").read_text() + "  AND i.size > 0\n")
    site.sql(
        "ALTER TABLE item ADD size int NOT NULL DEFAULT 1",
        f"GRANT SELECT (size) ON item TO {site.role}",
        "ALTER PUBLICATION onhand SET TABLE item (code, active, size), quant (id, item, warehouse, quantity, reserved)",
    )
    refused = site.onhand("apply")
    assert refused.returncode == 1
    assert "rows of public.item cannot be read again while it lacks cost" in refused.stderr
    assert sources.load_applied(site.kafka, site.name) == before
    site.sql(refused.stderr.partition("as a superuser of the ERP's database: ")[2].strip())
    done = site.onhand("apply", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert {"part": "rows", "name": "public.item", "done": "set up"} in json.loads(done.stdout)
    after = sources.load_applied(site.kafka, site.name)
    assert (after.epoch, list(after.since)) == (before.epoch, ["public.item"])
    assert after.applied_at > before.applied_at
    assert sources.find_pending(site.kafka, site.name) is None
    again = site.onhand("apply", "-o", "json")
    assert {d["done"] for d in json.loads(again.stdout)} == {"was as it must be"}
    assert sources.load_applied(site.kafka, site.name) == after


# -- the ERP's database


def test_wrong_password(site: Site) -> None:
    site.password_file.write_text("another")
    site.refused("apply", code=1, says=("password authentication failed", "password_file"))


def test_unknown_database(site: Site) -> None:
    site.settings[f"sources.{site.name}"]["database"] = site.stack.postgres.url("nowhere", user=site.role)
    site.refused("apply", code=1, says=('database "nowhere" does not exist', f"[sources.{site.name}]"))


def test_nobody_listens_at_the_database_address(site: Site) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        site.settings[f"sources.{site.name}"]["database"] = f"postgresql://cdc@127.0.0.1:{port}/erp"
        site.refused("apply", code=1, says=(f"127.0.0.1:{port}/erp", "Connection refused"))


def test_missing_rights_are_all_told_at_once_and_the_sql_told_mends_them(site: Site) -> None:
    site.sql(
        f"REVOKE ALL ON quant, item FROM {site.role}", "DROP PUBLICATION onhand",
        f"DROP ROLE IF EXISTS {site.name}_weak", f"CREATE ROLE {site.name}_weak LOGIN PASSWORD '{SECRET}'",
    )  # fmt: skip
    database = site.stack.postgres.url(site.name, user=f"{site.name}_weak")
    site.settings[f"sources.{site.name}"]["database"] = database
    told = site.refused("apply", code=1, says=("may not replicate", "may not select", "there is no publication onhand"))
    site.sql(*(line.strip() for line in told.partition("in this order:")[2].splitlines() if line.strip()))
    assert site.onhand("apply").returncode == 0


def test_publication_that_leaves_something_out(site: Site) -> None:
    site.sql("ALTER PUBLICATION onhand SET TABLE item (code)", "ALTER PUBLICATION onhand SET (publish = 'insert')")
    told = site.refused(
        "apply", code=1, says=("leaves out update, delete, truncate", "lacks active", "public.quant is missing")
    )
    site.sql(*(line.strip() for line in told.partition("in this order:")[2].splitlines() if line.strip()))
    assert site.onhand("apply").returncode == 0


def test_table_without_a_key(site: Site) -> None:
    site.sql("ALTER TABLE quant DROP CONSTRAINT quant_pkey")
    site.refused("apply", code=2, says=("stock.sql:2:", "public.quant has no primary key"))


def test_deferrable_key(site: Site) -> None:
    site.sql("ALTER TABLE quant DROP CONSTRAINT quant_pkey, ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED")
    told = site.refused("apply", code=1, says=("the primary key of public.quant is DEFERRABLE",))
    site.sql(told.partition("as a superuser of the ERP's database: ")[2].strip())
    assert site.onhand("apply").returncode == 0


def test_slot_of_somebody_else(site: Site) -> None:
    with psycopg.connect(site.stack.postgres.dsn, autocommit=True) as admin:
        admin.execute(f"SELECT pg_create_logical_replication_slot('onhand_{site.name}', 'pgoutput')")
        try:
            site.refused(
                "apply", code=1, says=(f"slot onhand_{site.name} belongs to something else", "pgoutput, postgres")
            )
        finally:
            admin.execute(f"SELECT pg_drop_replication_slot('onhand_{site.name}')")


def test_open_transaction_that_holds_up_capture_is_named_and_waited_for(site: Site) -> None:
    with psycopg.connect(site.stack.postgres.dsn) as writer:
        writer.execute("CREATE TABLE held (a int)")
        pid = writer.info.backend_pid
        with site.start("apply") as applying:
            assert applying.stderr is not None
            told = applying.stderr.readline()
            writer.rollback()
            assert applying.wait(timeout=120) == 0, applying.stderr.read()
    assert f"open transaction ends: process {pid} of postgres" in told


class ReplicaOnly(Postgres):
    """As most databases are before anyone thought of change data capture."""

    def commands(self) -> list[list[str]]:
        return [[w.replace("wal_level=logical", "wal_level=replica") for w in line] for line in super().commands()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    tmp_path.chmod(0o755)
    place = Place(tmp_path / "place", fast_jvm=True, fsync=False, monitoring=False)
    yield place
    place.release()
    place.remove()


def test_wal_level_that_is_not_logical(site: Site, place: Place) -> None:
    server = ReplicaOnly(place)
    with _running(server):
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {site.role} LOGIN REPLICATION PASSWORD '{SECRET}'")
            admin.execute(f"CREATE DATABASE {site.name}")
        site.settings[f"sources.{site.name}"]["database"] = server.url(site.name, user=site.role)
        with psycopg.connect(server.url(site.name), autocommit=True) as admin:
            for statement in site.schema:
                admin.execute(statement)
        site.refused(
            "apply",
            code=1,
            says=("wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'", "restart PostgreSQL"),
        )


# -- the pack


def test_unknown_pack(site: Site) -> None:
    site.settings[f"sources.{site.name}"]["pack"] = "sap"
    site.refused("apply", code=2, says=("there is no pack 'sap'", "tryton"))


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT q.item, q.warehouse,\n  q.qantity AS on_hand FROM quant q", ("stock.sql:2:", "qantity")),
        ("SELECT q.item, q.warehouse,\n  (q.quantity AS on_hand FROM quant q", ("stock.sql:2:",)),
        ("SELECT q.item, q.warehouse, q.quantity AS on_hand\nFROM qant q", ("stock.sql:2:", "qant")),
    ],
)
def test_broken_sql_names_file_line_and_column(site: Site, sql: str, says: tuple[str, ...]) -> None:
    (site.pack / "stock.sql").write_text(sql)
    site.refused("apply", code=2, says=says)


def test_sql_beyond_the_subset(site: Site) -> None:
    (site.pack / "stock.sql").write_text(
        "SELECT item, warehouse, quantity AS on_hand FROM quant WHERE quantity > (SELECT max(quantity) FROM quant)"
    )
    site.refused("apply", code=2, says=("stock.sql:1:",))


# -- Kafka, Connect, Redis


def test_kafka_is_down(site: Site) -> None:
    site.settings["kafka"]["bootstrap_servers"] = "127.0.0.1:1"
    site.refused("apply", code=1, says=("Kafka at 127.0.0.1:1 does not answer", "bootstrap_servers"))


def test_connect_is_down(site: Site) -> None:
    site.settings["kafka"]["connect_url"] = "http://127.0.0.1:1"
    site.refused("apply", code=1, says=("Kafka Connect at http://127.0.0.1:1 does not answer", "connect_url"))


def test_connect_may_not_read_the_password(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "password"
    elsewhere.write_text(SECRET)
    site.settings[f"sources.{site.name}"]["password_file"] = str(elsewhere)
    site.refused("apply", code=1, says=("Kafka Connect refuses the connector", "connect_password"))


def test_topic_with_wrong_settings(site: Site) -> None:
    log = f"onhand.{site.name}.log"
    kafka.ensure_topic(site.kafka, log, {"cleanup.policy": "delete"})
    site.refused(
        "apply",
        code=1,
        says=("cleanup.policy is delete, wanted compact", "kafka-configs.sh", f"--entity-name {log} --add-config"),
    )


def test_redis_is_down(site: Site) -> None:
    site.settings["redis"]["url"] = "redis://127.0.0.1:1/0"
    site.refused("apply", code=1, says=("Redis does not answer", "url"))


def test_redis_that_may_evict(site: Site, place: Place) -> None:
    server = Redis(place)
    with _running(server):
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        site.settings["redis"]["url"] = server.url
        site.refused("apply", code=1, says=("allkeys-lru", "maxmemory-policy noeviction"))


@contextmanager
def _running(server: Part) -> Iterator[None]:
    server.launch()
    try:
        _wait(lambda: server.check() or server.is_ready())
        yield
    finally:
        server.stop()


def _wait(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
