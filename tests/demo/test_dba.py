"""What the administrator's SQL allows, and what it does not."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from infra.demo import dba

CAPTURED = {"public.stock_lot": ("id", "number"), "public.stock_location": ("id", "code")}
PASSWORD = "a 'quoted' password"


@pytest.fixture
def role(tryton_url: str) -> Iterator[str]:
    role = f"cdc_{uuid4().hex[:8]}"
    dba.allow_capture(tryton_url, CAPTURED, PASSWORD, role=role)
    yield role
    with psycopg.connect(tryton_url) as administrator:
        administrator.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


@pytest.fixture
def capture(tryton_url: str, role: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(tryton_url, user=role, password=PASSWORD, autocommit=True) as connection:
        yield connection


def test_the_role_reads_captured_columns_and_may_replicate(capture: psycopg.Connection, role: str) -> None:
    assert capture.execute("SELECT id, code FROM stock_location").fetchall() == []
    assert capture.execute("SELECT rolreplication, rolsuper FROM pg_roles WHERE rolname = %s", [role]).fetchone() == (
        True,
        False,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT type FROM stock_location",
        "SELECT * FROM stock_move",
        "INSERT INTO stock_lot (id, number) VALUES (1, 'x')",
        "DELETE FROM stock_lot",
    ],
)
def test_the_role_may_do_nothing_else(capture: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        capture.execute(statement)


@pytest.mark.usefixtures("role")
def test_the_publication_carries_captured_columns_only(tryton_url: str) -> None:
    with psycopg.connect(tryton_url) as administrator:
        tables = administrator.execute(
            "SELECT schemaname || '.' || tablename, attnames FROM pg_publication_tables WHERE pubname = 'onhand'"
        ).fetchall()
    assert {name: tuple(columns) for name, columns in tables} == CAPTURED
