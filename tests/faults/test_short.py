"""The short faults of the campaign, one after the other on one source; see `make faults` for all."""

from collections.abc import Iterator

import pytest

from infra.stack import Stack
from tests.e2e.source import Source
from tests.faults.catalogue import FAULTS
from tests.faults.run import run

SHORT = [fault for fault in FAULTS.values() if fault.short]


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Source]:
    source = Source(stack, "faults")
    with source.attached():
        yield source


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: f"{fault.id}: {fault.title}")
def test_numbers_survive(source: Source, fault) -> None:
    outcome = run(fault, source, seed=1, replay=fault is SHORT[-1])
    assert outcome.verdict == "converged"
