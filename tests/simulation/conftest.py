import random
from collections.abc import Iterator

import pytest
import stamina.instrumentation
import structlog

import pipeline.adapters.redis as projection
from pipeline.rules import compile as rules
from streams import publish, scrub
from tests.simulation.world import quiet


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What simulations set for a whole process is put back for the tests that follow."""
    monkeypatch.setattr(projection, "ATOMIC", projection.ATOMIC)
    monkeypatch.setattr(projection, "CHUNK", projection.CHUNK)
    monkeypatch.setattr(rules, "parse_condition", rules.parse_condition)
    monkeypatch.setattr(scrub, "time", scrub.time)
    monkeypatch.setattr(publish, "gc", publish.gc)
    configured, drawn = structlog.get_config(), random.getstate()
    hooks = stamina.instrumentation.get_on_retry_hooks()
    quiet()
    yield
    structlog.configure(**configured)
    stamina.instrumentation.set_on_retry_hooks(hooks)
    random.setstate(drawn)
