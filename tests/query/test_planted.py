"""The differential test can fail: a bug planted in the engine is found within few histories."""

import pytest

from tests.query.differential import planted
from tests.query.differential.batch import Batch, Counts
from tests.query.differential.databases import Database

MOST = 20  # batches of six histories

PLANTED = [
    (planted.a_lost_delete, "postgres", "star"),
    (planted.a_lost_delete, "mysql", "union"),
    (planted.a_null_key_that_is_found, "postgres", "left_chain"),
    (planted.a_collation_not_folded, "mysql", "strings"),
    (planted.a_scale_off_by_ten, "postgres", "star"),
    (planted.a_scale_off_by_ten, "mysql", "flags"),
    (planted.a_parent_change_that_is_missed, "postgres", "tree"),
    (planted.a_parent_change_that_is_missed, "mysql", "chain"),
    (planted.a_unique_key_with_one_owner_only, "postgres", "left_chain"),
    (planted.a_day_that_does_not_turn, "postgres", "ledger"),
    (planted.a_day_that_does_not_turn, "mysql", "ledger"),
    (planted.a_day_that_looks_at_no_old_rows, "postgres", "ledger"),
    (planted.a_future_date_that_is_missed, "postgres", "ledger"),
    (planted.a_computed_key_left_out, "mysql", "computed"),
    (planted.not_of_unknown_is_true, "mysql", "flags"),
    (planted.a_vanished_group_not_handed_out, "postgres", "shared"),
    (planted.the_padding_of_a_char_kept, "postgres", "strings"),
    (planted.a_condition_of_on_forgotten, "mysql", "left_chain"),
]


@pytest.mark.parametrize(("plant", "dialect", "shape"), PLANTED, ids=lambda v: getattr(v, "__name__", v))
def test_a_planted_bug_is_found(
    plant: planted.Plant, dialect: str, shape: str, databases: dict[str, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011 -- another answer, or a group that is not there
        run_batches(databases[dialect], shape)
    said = "\n".join([str(found.value), *getattr(found.value, "__notes__", [])])
    assert f"see it again: make fuzz-query DIALECT={dialect} SHAPE={shape}" in said


def run_batches(database: Database, shape: str) -> None:
    for seed in range(MOST):
        Batch(database.dialect, shape, seed, 6).run(database, Counts())


def test_every_bug_is_planted() -> None:
    assert {plant for plant, _, _ in PLANTED} == set(planted.BUGS)
