"""The oracles of the differential tests."""

from collections.abc import Iterator

import pytest

from infra.stack import Stack
from tests.query.differential.databases import Database, MariadbDatabase, PostgresDatabase


@pytest.fixture(scope="session")
def databases(servers: Stack) -> Iterator[dict[str, Database]]:
    """PostgreSQL and MariaDB by dialect."""
    servers.start("postgres", "mariadb")
    databases = {"postgres": PostgresDatabase(servers.postgres), "mysql": MariadbDatabase(servers.mariadb)}
    yield databases
    for database in databases.values():
        database.close()
