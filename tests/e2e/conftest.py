from collections.abc import Iterator

import pytest

from infra.stack import Stack
from tests.e2e.source import Source


@pytest.fixture(scope="module")
def source(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Source]:
    """An applied source with a running worker that serves the initial snapshot; one per test module."""
    source = Source(stack, request.module.__name__.rpartition("test_")[2])
    with source.attached():
        yield source
