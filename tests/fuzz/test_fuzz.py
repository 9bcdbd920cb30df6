"""Whatever comes in: a value, or a typed refusal with its place and fix. Twenty seconds each; longer by `make fuzz`."""

import json
import random
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.domain.errors import PackError
from tests.fuzz import TARGETS, pack, pack_sql, record, settings
from tests.fuzz.run import FoundError, Run, hunt, packed

SECONDS = 20
LAST = json.loads((Path(__file__).parent / "last_run.json").read_text())


@pytest.mark.parametrize("target", TARGETS)
def test_other_inputs_every_time(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(10**6)
    found = import_module(f"tests.fuzz.{target}").run(SECONDS, seed)
    with capsys.disabled():
        print(f"\n{target}: seed {seed}, {found['count']} examples")  # noqa: T201 -- the figure belongs into the run's output
    assert not found["failures"], found["failures"]
    assert found["count"] > 0
    if target == "redis_replies":
        assert found["retries"] > 10


@pytest.mark.parametrize(
    ("parts", "part", "outcomes"),
    [
        (pack, "sql", {"refused", "compiled"}),
        (pack, "toml", {"refused", "loaded"}),
        (pack, "files", {"refused", "held"}),
        (settings, "settings", {"refused", "loaded"}),
        (record, "record", {"folded", "rejected"}),
    ],
)
def test_the_same_inputs_every_time_have_every_outcome(parts, part: str, outcomes: set[str]) -> None:
    run = Run("any", parts.PARTS)
    run.batch(part, 0, examples=150, fixed=True)
    assert set(run.counts) >= {f"{part} {outcome}" for outcome in outcomes}


def test_a_failure_says_how_to_run_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaks(*_: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(pack_sql, "compile_source", leaks)
    with pytest.raises(FoundError, match=r"KeyError.*\n.*python -m tests.fuzz pack --replay sql:"):
        Run("pack", pack.PARTS).batch("sql", 1, examples=5)
    (failure,) = hunt("pack", {"sql": pack.PARTS["sql"]}, 60, 1)["failures"]
    with pytest.raises(KeyError):
        Run("pack", pack.PARTS).replay(failure.rpartition(" ")[2])


def test_an_example_is_run_again() -> None:
    example = pack_sql.Example("tryton8", "stock", "SELECT 1")
    told = Run("pack", pack.PARTS).replay(f"sql:{packed(example)}")
    assert told == f"{example}\nrefused"


def test_the_check_wants_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def vague(*_: object) -> None:
        raise PackError("something", "mend it", "p/q.sql")

    monkeypatch.setattr(pack_sql, "compile_source", vague)
    with pytest.raises(AssertionError, match="no place or fix"):
        pack_sql.outcome(pack_sql.Example("tryton8", "stock", "SELECT 1"))


@pytest.mark.parametrize("target", TARGETS)
def test_the_long_run_is_of_this_target(target: str) -> None:
    """Ten minutes without a failure, of the modules that the target covers now."""
    run, module = LAST[target], import_module(f"tests.fuzz.{target}")
    assert (run["target"], run["failures"], run["seconds"]) == (target, [], 600)
    assert run["count"] > 0
    assert run["covered"] == list(module.COVERED)
    assert 0 < run["branch_coverage_percent"] <= 100
    assert {name.split()[0] for name in run["outcomes"]} == set(module.PARTS)
