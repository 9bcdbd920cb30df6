"""What is asked of the ERP's server, on a real one, as the capture role."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.stack.postgres import Postgres
from pipeline.adapters import erp_server
from pipeline.domain.errors import NotReadyError
from pipeline.settings import Source

PASSWORD = "not-in-any-log"


@pytest.fixture
def source(postgres: Postgres, tmp_path: Path) -> Iterator[Source]:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        admin.execute("CREATE DATABASE looked")
        admin.execute(f"CREATE ROLE looking LOGIN REPLICATION PASSWORD '{PASSWORD}'")
    source = Source(name="looked", pack="none", database=postgres.url("looked", user="looking"), password_file=password)
    yield source
    erp_server.drop_slot(source)
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        admin.execute("DROP DATABASE looked WITH (FORCE)")
        admin.execute("DROP ROLE looking")


def sql(source: Source, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(source.database, password=PASSWORD, autocommit=True) as c:
        return c.execute(text).fetchall()


def make_slot(source: Source) -> None:
    sql(source, f"SELECT pg_create_logical_replication_slot('{source.slot_name}', 'pgoutput')")


def test_which_server_it_is_and_where_its_log_ends(source: Source) -> None:
    before = erp_server.look(source)
    assert before.identity.endswith("/1")
    assert (before.standby, before.slot) == (False, None)
    sql(source, "SELECT pg_logical_emit_message(true, 'x', 'y')")
    after = erp_server.look(source)
    assert after.identity == before.identity
    assert after.position > before.position


def test_how_the_slot_does(source: Source) -> None:
    make_slot(source)
    sql(source, "SELECT pg_logical_emit_message(true, 'x', repeat('y', 100000))")
    server = erp_server.look(source)
    assert server.slot is not None
    assert (server.slot.name, server.slot.active, server.slot.status) == ("onhand_looked", False, "reserved")
    assert server.slot.retained > 100_000
    assert server.slot.confirmed is not None
    assert server.slot.confirmed < server.position


def test_a_role_that_may_not_ask_which_server_it_is(source: Source, postgres: Postgres) -> None:
    with psycopg.connect(postgres.url("looked"), autocommit=True) as admin:
        admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    assert erp_server.look(source).identity == ""


def test_a_slot_that_is_read_is_taken_from_its_reader(source: Source) -> None:
    make_slot(source)
    with psycopg.connect(f"{source.database}?replication=database", password=PASSWORD, autocommit=True) as reader:
        start = f"START_REPLICATION SLOT {source.slot_name} LOGICAL 0/0 (proto_version '1', publication_names 'none')"
        assert reader.pgconn.exec_(start.encode()).status == psycopg.pq.ExecStatus.COPY_BOTH
        reading = erp_server.look(source).slot
        assert reading is not None
        assert reading.active
        assert erp_server.drop_slot(source)
        reader.pgconn.finish()
    assert not erp_server.drop_slot(source)
    assert erp_server.look(source).slot is None


def test_a_server_that_is_away(source: Source) -> None:
    away = source.model_copy(update={"database": "postgresql://looking@127.0.0.1:1/looked"})
    with pytest.raises(NotReadyError, match=r"no connection to 127\.0\.0\.1:1/looked"):
        erp_server.look(away)
