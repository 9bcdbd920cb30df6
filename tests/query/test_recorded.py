"""The maintained answers equal those that the databases once gave. No server: quick enough for every change."""

import pytest

from tests.query.recorded.case import FILE, Case, load

CASES = list(load())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_maintained_answers_equal_the_recorded_ones(case: Case) -> None:
    case.replay()


def test_the_record_is_worth_its_place() -> None:
    dialects = {case.catalog["dialect"] for case in CASES}
    assert dialects == {"postgres", "mysql"}
    assert sum(bool(h.documents) for case in CASES for h in case.histories) >= 20
    assert FILE.stat().st_size < 1_000_000
