"""The story as a list: it can be told without Tryton, and names only what the master data has."""

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from infra.demo import masterdata, story
from infra.demo.workshop import Line, Workshop

ZONES = {"IN", "OUT", "SHOP-IN", "SHOP-OUT"}


@pytest.fixture
def steps() -> list[story.Step]:
    workshop = Workshop.__new__(Workshop)  # its verbs are named, not called
    return [*story.opening(workshop), *story.story(workshop)]


def test_it_is_long_enough_and_always_the_same(steps: list[story.Step]) -> None:
    workshop = Workshop.__new__(Workshop)
    assert len(story.story(workshop)) >= 50
    assert [step.says for step in steps[len(story.OPENING) :]] == [step.says for step in story.story(workshop)]


def test_every_step_calls_a_verb_as_it_wants_to_be_called(steps: list[story.Step]) -> None:
    for step in steps:
        assert isinstance(step.run, partial)
        inspect.signature(step.run.func).bind(*step.run.args, **step.run.keywords)
        assert step.says
        assert len(step.says) <= 48, f"{step.says!r} is cut off in the table"


def test_it_names_only_items_and_places_there_are(steps: list[story.Step]) -> None:
    items = {item.code: item for item in masterdata.ITEMS}
    places = ZONES | {code for children in masterdata.PLACES.values() for code, _ in children}
    for line in _lines([step.run for step in steps]):
        assert line.item in items
        assert line.at in places | {""}
        assert not line.lot or items[line.item].lots


def test_documents_are_made_before_they_are_used(steps: list[story.Step]) -> None:
    made: set[str] = set()
    for step in steps:
        run: Any = step.run
        verb = run.func.__name__
        if verb in {"receive", "order", "reserve", "send"}:
            made.add(run.args[0])
        elif verb not in {"count", "transfer", "take_back"}:
            assert run.args[0] in made, step.says


def test_stock_is_driven_below_zero_on_purpose(steps: list[story.Step]) -> None:
    assert [step.says for step in steps if getattr(step.run, "keywords", {}).get("force")]


def _lines(value: Any) -> Iterator[Line]:
    if isinstance(value, Line):
        yield value
    elif isinstance(value, partial):
        yield from _lines([*value.args, *value.keywords.values()])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _lines(inner)
