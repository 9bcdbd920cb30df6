"""The watchdog's own mechanics: what it finds is told when it comes and goes, and nothing that hangs hides the rest."""

import asyncio
import threading
from collections.abc import Iterable

import pytest

from pipeline import telemetry
from pipeline.domain.errors import NotReadyError
from pipeline.domain.health import Effect, Finding
from streams.watch import HANGS_S, Watch

STALE = Finding("slot_missing", "the slot is gone", "make one", "stale")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Told:
    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.clock = Clock()
        self.watch = Watch("watched", self.tell, self.clock)

    async def tell(self, effect: Effect) -> None:
        self.effects.append(effect)

    def look(self, *findings: Finding, part: str = "erp") -> None:
        self.watch.look_once(part, lambda: findings)
        asyncio.run(self.watch.tick())


def metric(kind: str) -> float | None:
    return telemetry.REGISTRY.get_sample_value("onhand_finding", {"source": "watched", "kind": kind})


def test_what_is_found_is_told_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told()
    told.look()
    assert told.effects == []
    assert metric("slot_missing") == 0
    told.look(STALE)
    told.look(STALE)
    assert told.effects == ["stale", "stale"]
    assert metric("slot_missing") == 1
    told.look()
    assert told.effects == ["stale", "stale", ""]
    assert metric("slot_missing") == 0
    said = capsys.readouterr().out
    assert said.count("the slot is gone") == 2  # when it came and when it went, not at each look


def test_what_is_away_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    def away() -> Iterable[Finding]:
        raise NotReadyError("Kafka Connect does not answer", "start it")

    def broken() -> Iterable[Finding]:
        raise KeyError("a reply nobody thought of")

    told = Told()
    told.watch.look_once("connect", away)
    told.watch.look_once("erp", broken)
    assert [f.kind for f in told.watch.findings()] == ["connect_away", "hangs"]
    assert "nobody thought of" not in told.watch.findings()[1].what
    assert capsys.readouterr().out == ""


def test_a_look_that_hangs_is_told_and_hides_nothing() -> None:
    told, begun, end = Told(), threading.Event(), threading.Event()

    def hang() -> Iterable[Finding]:
        begun.set()
        end.wait(60)
        return ()

    looking = threading.Thread(target=told.watch.look_once, args=("connect", hang))
    looking.start()
    try:
        assert begun.wait(60)
        told.look(STALE)
        assert [f.kind for f in told.watch.findings()] == ["slot_missing"]
        told.clock.now = HANGS_S + 1
        assert [f.kind for f in told.watch.findings()] == ["slot_missing", "hangs"]
    finally:
        end.set()
        looking.join()
    assert [f.kind for f in told.watch.findings()] == ["slot_missing"]
