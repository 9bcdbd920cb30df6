"""The differential test can fail: a bug planted in the engine is found within few histories."""

from collections.abc import Callable

import pytest

from pipeline.query import branch, engine, expressions, generate, rows, scalars, tables, types, values
from tests.query.differential.batch import Batch, Counts
from tests.query.differential.databases import Database

MOST = 20  # batches of six histories
Plant = Callable[[pytest.MonkeyPatch], None]


def a_lost_delete(patch: pytest.MonkeyPatch) -> None:
    delete = tables.TableFold.delete

    def clear(self: tables.TableFold) -> None:
        for pk in list(self.pks()):
            delete(self, pk)

    patch.setattr(tables.TableFold, "clear", clear)
    patch.setattr(tables.TableFold, "delete", lambda self, pk: None)


def a_null_key_that_is_found(patch: pytest.MonkeyPatch) -> None:
    def move_unique(index: rows.Index, old: object, new: object, pk: object) -> None:
        rows.unlink(index, old, pk)
        rows.link_unique(index, new, pk)

    patch.setattr(rows, "move_unique", move_unique)


def a_collation_not_folded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(types, "fold_of", lambda dialect, collation: "")
    patch.setattr(scalars, "fold_of", lambda dialect, collation: "")


def a_scale_off_by_ten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tables, "scaled", lambda scale: values.scaled(scale + 1))


def a_parent_change_that_is_missed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rows, "link", lambda index, key, pk: None)


def a_unique_key_with_one_owner_only(patch: pytest.MonkeyPatch) -> None:
    def link_unique(index: rows.Index, key: object, pk: object) -> None:
        index[key] = (pk,)

    patch.setattr(rows, "link_unique", link_unique)


def a_day_that_does_not_turn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generate.Generator, "moved", lambda self, low, high: iter(()))


def not_of_unknown_is_true(patch: pytest.MonkeyPatch) -> None:
    def is_not(self: expressions.Expressions, node: object, want: bool) -> str:
        return f"{'not ' if want else ''}({self.condition(node.this, want=True)})"

    patch.setattr(expressions.Expressions, "_is_not", is_not)


def a_vanished_group_not_handed_out(patch: pytest.MonkeyPatch) -> None:
    drain = engine.View.drain
    patch.setattr(engine.View, "drain", lambda self: [group for group in drain(self) if group[1]])


def the_padding_of_a_char_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tables, "_blank_rules", lambda *, char, empty_is_null: lambda value: value)


def a_condition_of_on_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(branch.BranchCompiler, "_rest", lambda self, join, missing: None)


PLANTED = [
    (a_lost_delete, "postgres", "star"),
    (a_lost_delete, "mysql", "union"),
    (a_null_key_that_is_found, "postgres", "left_chain"),
    (a_collation_not_folded, "mysql", "strings"),
    (a_scale_off_by_ten, "postgres", "star"),
    (a_scale_off_by_ten, "mysql", "flags"),
    (a_parent_change_that_is_missed, "postgres", "tree"),
    (a_parent_change_that_is_missed, "mysql", "chain"),
    (a_unique_key_with_one_owner_only, "postgres", "left_chain"),
    (a_day_that_does_not_turn, "postgres", "ledger"),
    (a_day_that_does_not_turn, "mysql", "ledger"),
    (not_of_unknown_is_true, "mysql", "flags"),
    (a_vanished_group_not_handed_out, "postgres", "shared"),
    (the_padding_of_a_char_kept, "postgres", "strings"),
    (a_condition_of_on_forgotten, "mysql", "left_chain"),
]


@pytest.mark.parametrize(("plant", "dialect", "shape"), PLANTED, ids=lambda v: getattr(v, "__name__", v))
def test_a_planted_bug_is_found(
    plant: Plant, dialect: str, shape: str, databases: dict[str, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=f"see it again: make fuzz-query DIALECT={dialect} SHAPE={shape}"):
        run_batches(databases[dialect], shape)


def run_batches(database: Database, shape: str) -> None:
    for seed in range(MOST):
        Batch(database.dialect, shape, seed, 6).run(database, Counts())
