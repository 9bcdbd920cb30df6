from collections.abc import Iterator

import pytest
import requests

from infra.stack import Stack
from tests.e2e.source import Source, wait_for


@pytest.fixture(scope="module")
def source(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Source]:
    """An applied source with a running worker that serves the initial snapshot; one per test module."""
    source = Source(stack, request.module.__name__.rpartition("test_")[2])
    try:
        source.apply()
        source.start_worker()
        wait_for(lambda: source.meta().get("state") == "live", "the first snapshot served")
        yield source
    finally:
        source.close()
        requests.delete(f"{stack.connect.url}/connectors/onhand-{source.name}", timeout=30)
