"""A database with the Tryton tables of the pack's schema.sql."""

from collections.abc import Iterator
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from infra.stack.postgres import Postgres


@pytest.fixture
def tryton_url(postgres: Postgres) -> Iterator[str]:
    name = sql.Identifier(database := f"tryton_{uuid4().hex[:8]}")
    with psycopg.connect(postgres.dsn, autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = postgres.url(database)
        with psycopg.connect(url) as connection:
            connection.execute((files("connectors") / "tryton/schema.sql").read_text())
        yield url
        administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
