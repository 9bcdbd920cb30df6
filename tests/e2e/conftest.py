from collections.abc import Iterator

import pytest

from infra.stack import Stack
from tests.e2e.source import Source


@pytest.fixture(scope="module")
def nothing_is_mended_unasked() -> Iterator[None]:
    """What is planted in Redis must stand until it is found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONHAND_WORKER__SCRUB_KEYS_PER_SECOND", "0")
        yield


@pytest.fixture(scope="module")
def source(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Source]:
    """An applied source with a running worker that serves the initial snapshot; one per test module."""
    source = Source(stack, request.module.__name__.rpartition("test_")[2])
    with source.attached():
        yield source
