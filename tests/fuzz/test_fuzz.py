"""Whatever stands in a pack's files: a compiled query, or a typed refusal with its place and its fix."""

import random
import time

import pytest

from pipeline.domain.errors import PackError
from tests.query.fuzz import sql
from tests.query.fuzz.run import FoundError, Run, packed, replay

SECONDS = 14  # of the random part; with the fixed part about 20


def test_the_same_texts_every_time() -> None:
    run = Run()
    run.batch("sql", 0, examples=250, fixed=True)
    run.batch("toml", 0, examples=100, fixed=True)
    assert run.counts["sql refused"] > 100
    assert run.counts["sql compiled"] > 0
    assert run.counts["toml refused"] > 30
    assert run.counts["toml loaded"] > 0


def test_other_texts_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    first, run = random.randrange(10**6), Run()
    last = run.until(time.monotonic() + SECONDS, first)
    with capsys.disabled():
        print(f"\nseeds {first} to {last - 1}: {dict(run.counts)}")  # noqa: T201 -- the figure belongs into the run's output
    assert run.counts.total() > 100


def test_a_failure_says_how_to_run_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaks(*_: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(sql, "compile_source", leaks)
    with pytest.raises(FoundError, match=r"KeyError.*\n.*python -m tests.query.fuzz --replay sql:"):
        Run().batch("sql", 1, examples=5)


def test_an_example_is_run_again() -> None:
    example = sql.Example("tryton8", "stock", "SELECT 1")
    assert replay(packed("sql", example)).endswith("refused")
    assert repr(example) in replay(packed("sql", example))


def test_the_check_wants_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def vague(*_: object) -> None:
        raise PackError("something", "mend it", "p/q.sql")

    monkeypatch.setattr(sql, "compile_source", vague)
    with pytest.raises(AssertionError, match="no place or fix"):
        sql.outcome(sql.Example("tryton8", "stock", "SELECT 1"))
