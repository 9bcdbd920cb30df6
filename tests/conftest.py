"""Real servers for the tests: one stack for the whole run, each part started by the first test that asks for it."""

from collections.abc import Iterator

import pytest
import structlog

from infra.stack import DEFAULT_PARTS, Stack
from infra.stack.mariadb import Mariadb
from infra.stack.postgres import Postgres
from infra.stack.redis import Redis


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """What a command set for the logs of its process ends with the test that ran it in this one."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of which nothing runs yet. Its folder with the logs stays when a test has failed."""
    with Stack(parts=(), monitoring=True) as servers:
        yield servers
        servers.keep = request.session.testsfailed > 0


@pytest.fixture(scope="session")
def postgres(servers: Stack) -> Postgres:
    servers.start("postgres")
    return servers.postgres


@pytest.fixture(scope="session")
def mariadb(servers: Stack) -> Mariadb:
    servers.start("mariadb")
    return servers.mariadb


@pytest.fixture(scope="session")
def redis_server(servers: Stack) -> Redis:
    servers.start("redis")
    return servers.redis


@pytest.fixture(scope="session")
def stack(servers: Stack) -> Stack:
    """All of PostgreSQL, Kafka, Connect, Redis and Prometheus."""
    servers.start(*DEFAULT_PARTS)
    return servers
