"""Bugs to plant in the engine: each changes one piece of it, as a mistake there would."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.query import branch, days, engine, expressions, generate, layout, rows, scalars, tables, types, values

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

    patch.setattr(rows.MemoryStore, "move_unique", staticmethod(move_unique))


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
    patch.setattr(days._Turning, "rows", lambda self, remembered, low, high: iter(()))


def a_day_that_looks_at_no_old_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(days.Ahead, "covers", lambda self, low, high: True)


def a_future_date_that_is_missed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(days.Days, "kept", lambda self, table: iter(()))


def a_computed_key_left_out(patch: pytest.MonkeyPatch) -> None:
    def derivation(table: layout.TablePlan, *_: object) -> list[str]:
        return [f"def derive_{table.id}(row): return (*row, {'None, ' * len(table.derived)})"]

    patch.setattr(generate, "derivation", derivation)


def not_of_unknown_is_true(patch: pytest.MonkeyPatch) -> None:
    def is_not(self: expressions.Expressions, node: object, want: bool) -> str:
        return f"{'not ' if want else ''}({self.condition(node.this, want=True)})"

    patch.setattr(expressions.Expressions, "_is_not", is_not)


def a_vanished_group_not_handed_out(patch: pytest.MonkeyPatch) -> None:
    drain = engine.View.drain
    patch.setattr(engine.View, "drain", lambda self: [group for group in drain(self) if group[1]])


def the_padding_of_a_char_kept(patch: pytest.MonkeyPatch) -> None:
    text_code = tables._text_code
    patch.setattr(tables, "_text_code", lambda type_, read, **how: text_code(replace(type_, char=False), read, **how))


def a_condition_of_on_forgotten(patch: pytest.MonkeyPatch) -> None:
    join_ = branch.BranchCompiler._join
    patch.setattr(branch.BranchCompiler, "_join", lambda self, join: join_(self, replace(join, rest=())))


BUGS: list[Plant] = [
    a_lost_delete, a_null_key_that_is_found, a_collation_not_folded, a_scale_off_by_ten, a_parent_change_that_is_missed,
    a_unique_key_with_one_owner_only, a_day_that_does_not_turn, not_of_unknown_is_true, a_vanished_group_not_handed_out,
    the_padding_of_a_char_kept, a_condition_of_on_forgotten, a_day_that_looks_at_no_old_rows,
    a_future_date_that_is_missed, a_computed_key_left_out,
]  # fmt: skip


def shows(plant: Plant, run: Callable[[], None]) -> bool:
    """Whether `run` fails while a bug is planted."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        try:
            run()
        except Exception:  # noqa: BLE001 -- a bug may show in any way
            return True
    return False
