"""Both kinds of row store, and the oracles of the differential tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.stack import Stack
from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from tests.query.differential.databases import Database, MariadbDatabase, PostgresDatabase

TINY = 4_000  # bytes of recent rows: about ten, so that most are read back from the file


@pytest.fixture(params=["memory", "disk"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Makes empty stores; `new_store.kind` says of which kind."""
    made: list[Store] = []

    def make() -> Store:
        directory = tmp_path / str(len(made))
        made.append(MemoryStore() if make.kind == "memory" else DiskStore(directory, "test", cache=TINY, batch=1))
        return made[-1]

    make.kind = request.param
    yield make
    for store in made:
        store.close()


@pytest.fixture(scope="session")
def databases(servers: Stack) -> Iterator[dict[str, Database]]:
    """PostgreSQL and MariaDB by dialect."""
    servers.start("postgres", "mariadb")
    databases = {"postgres": PostgresDatabase(servers.postgres), "mysql": MariadbDatabase(servers.mariadb)}
    yield databases
    for database in databases.values():
        database.close()
