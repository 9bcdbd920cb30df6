"""A failpoint acts where and when it was told to, exists only while it is set, and is refused when it is unknown."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from pipeline.domain.errors import SettingsError
from streams import failpoints
from streams.failpoints import PLACES, Failpoint


def test_what_may_be_said() -> None:
    assert Failpoint.parse("after-redis") == ("after-redis", 1, None)
    assert Failpoint.parse("before-commit:3") == ("before-commit", 3, None)
    assert Failpoint.parse("after-fold:2:0.5") == ("after-fold", 2, 0.5)


@pytest.mark.parametrize("text", ["1", "redis", "after-redis:0", "after-redis:x", "after-redis:1:", "after-redis,2"])
def test_an_unknown_one_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match=r"no such failpoint.*before-redis, after-redis") as refused:
        failpoints.arm(text)
    assert refused.value.fix == "unset ONHAND_FAILPOINT"


class Calls:
    """Stands for what owns a call."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def tidy(self) -> str:
        self.made.append("tidy")
        return "found"

    async def publish(self) -> str:
        self.made.append("publish")
        return "found"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setattr(Calls, "tidy", Calls.tidy)  # put back what `arm` sets
    monkeypatch.setattr(Calls, "publish", Calls.publish)
    monkeypatch.setitem(PLACES, "before-redis", ("before", Calls, "publish"))
    monkeypatch.setitem(PLACES, "after-redis", ("after", Calls, "publish"))
    monkeypatch.setitem(PLACES, "after-fold", ("before", Calls, "tidy"))
    return Calls()


@pytest.mark.parametrize(("place", "made"), [("before-redis:3", 2), ("after-redis:3", 3), ("after-fold:2", 1)])
def test_it_kills_before_or_after_the_call_that_was_said(
    calls: Calls, place: str, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(pid: int, number: int) -> None:
        raise SystemExit(number)

    monkeypatch.setattr("os.kill", die)

    def call_often() -> None:
        for _ in range(9):
            assert (calls.tidy() if "fold" in place else asyncio.run(calls.publish())) == "found"

    failpoints.arm(place)
    with pytest.raises(SystemExit) as died:
        call_often()
    assert (died.value.code, len(calls.made)) == (9, made)


def test_it_stands_still_once(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    failpoints.arm("after-fold:2:7.5")
    for _ in range(4):
        calls.tidy()
    assert [s for s in slept if s] == [7.5]
    assert len(calls.made) == 4


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_a_call_of_the_worker(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, owner, name = PLACES[place]
    before: Any = getattr(owner, name)
    monkeypatch.setattr(owner, name, before)
    failpoints.arm(place)
    assert getattr(owner, name).__wrapped__ is before


def test_without_the_variable_the_worker_wraps_nothing() -> None:
    calls = "[n for _, o, n in PLACES.values() if hasattr(getattr(o, n), '__wrapped__')]"
    code = f"import streams.worker; from streams.failpoints import PLACES; print({calls})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
