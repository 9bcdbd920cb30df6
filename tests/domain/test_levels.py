from collections import defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import PackError
from pipeline.domain.levels import StockLevels, expected_documents, stock_levels


@dataclass(frozen=True)
class Amount:
    name: str
    scale: int = 0
    approx: bool = False


@dataclass(frozen=True)
class View:
    keys: tuple[str, ...] = ("item_id", "item", "warehouse_id", "warehouse", "location_id", "location", "lot_id", "lot")
    amounts: tuple[Amount, ...] = (Amount("on_hand"), Amount("reserved"))


def shown(levels: StockLevels) -> dict[str, dict[str, str]]:
    return {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in levels.documents()}


def row(
    item: int, code: str | None, location: int, on_hand: int, reserved: int = 0, lot: int | None = None, count: int = 1
):
    key = (item, code, 1, "WH", location, f"R{location}", lot, f"L{lot}" if lot else None)
    return key, count, (on_hand, reserved)


def test_a_detail_a_level_and_an_item() -> None:
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([row(7, "RIM", 1, 10, 4, lot=5), row(7, "RIM", 2, 3)], offset=9, time_ms=0)
    assert shown(levels) == {
        "stock:{RIM}:WH:location=R1,lot=L5": {"on_hand": "10", "reserved": "4"},
        "stock:{RIM}:WH:location=R2": {"on_hand": "3", "reserved": "0"},
        "stock:{RIM}:WH": {"on_hand": "13", "usable": "13", "reserved": "4", "available": "9"},
        "stock:{RIM}": {"on_hand": "13", "usable": "13", "reserved": "4", "available": "9", "w:WH": "13"},
    }


def test_the_levels_with_less_than_nothing_on_hand_are_known() -> None:
    levels = stock_levels("stock", View(), "none")

    def negative(*rows) -> int:
        levels.absorb(rows, 1, 0)
        levels.documents()
        return len(levels.write.negative)

    assert negative(row(7, "RIM", 1, -1), row(8, "HUB", 1, 5)) == 1
    assert negative(row(8, "HUB", 1, -5)) == 2
    assert negative(row(7, "RIM", 2, 1)) == 1  # of the pair of item and warehouse, not of its places
    assert negative(row(8, "HUB", 1, 0, count=0)) == 0


def test_only_what_changed_is_shown_again_and_a_vanished_level_ends() -> None:
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([row(7, "RIM", 1, 10), row(7, "RIM", 2, 3)], 1, 0)
    levels.documents()
    levels.absorb([row(7, "RIM", 1, 10), row(7, "RIM", 2, 0, count=0)], 2, 0)
    assert shown(levels) == {
        "stock:{RIM}:WH:location=R2": {},
        "stock:{RIM}:WH": {"on_hand": "10", "usable": "10", "reserved": "0", "available": "10"},
        "stock:{RIM}": {"on_hand": "10", "usable": "10", "reserved": "0", "available": "10", "w:WH": "10"},
    }
    levels.absorb([row(7, "RIM", 1, 10)], 3, 0)
    assert shown(levels) == {}


def test_a_vanished_level_whose_warehouse_is_renamed_leaves_its_item_alone() -> None:
    """Whether documents were read in between, as live, or not, as in a replay, must make no difference."""

    def key(item: int, warehouse: int, code: str) -> tuple:
        return (item, f"I{item}", warehouse, code, 1, "R", None, None)

    def offsets(*, live: bool) -> dict[str, int]:
        levels = stock_levels("stock", View(), "stock")
        for offset, groups in enumerate(
            [
                [(key(7, 1, "A"), 1, (1, 0)), (key(7, 2, "B"), 1, (2, 0)), (key(8, 1, "A"), 1, (3, 0))],
                [(key(7, 1, "A"), 0, (0, 0))],
                [(key(8, 1, "A"), 0, (0, 0)), (key(8, 1, "C"), 1, (3, 0))],
            ]
        ):
            levels.absorb(groups, offset, 0)
            if live:
                levels.documents()
        return {d.key: d.offset for d in levels.all_documents()}

    assert offsets(live=True) == offsets(live=False)


def test_an_item_without_a_code_and_items_sharing_one_are_never_merged() -> None:
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([row(7, None, 1, 1), row(8, "NUT", 1, 2), row(9, "NUT", 1, 3)], 1, 0)
    assert {k for k in shown(levels) if k.count(":") == 1} == {"stock:{~7}", "stock:{NUT~8}", "stock:{NUT~9}"}
    levels.absorb([row(9, "NUT", 1, 0, count=0)], 2, 0)
    assert {k: bool(v) for k, v in shown(levels).items() if k.count(":") == 1} == {
        "stock:{NUT~9}": False,
        "stock:{NUT~8}": False,
        "stock:{NUT}": True,
    }


def test_a_code_that_changes_hands_takes_back_the_negative_quantity_shown_under_it() -> None:
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([row(7, "RIM", 1, 1, 5)], 1, 0)
    assert {d.key: d.negative for d in levels.documents() if d.negative} == {"stock:{RIM}:WH": "-4"}
    levels.absorb([row(7, "RIM", 1, 0, count=0), row(8, "RIM", 1, 3)], 2, 0)
    assert {d.key for d in levels.documents() if d.recovered} == {"stock:{RIM}:WH"}
    levels.absorb([row(8, "RIM", 1, 0, count=0), row(9, "RIM", 1, 3, 9)], 3, 0)
    documents = levels.documents()
    assert {d.key: d.negative for d in documents if d.negative} == {"stock:{RIM}:WH": "-6"}
    assert not any(d.recovered for d in documents)


def test_a_code_that_others_share_beyond_the_rows_at_hand_shows_its_id() -> None:
    found = expected_documents(
        "stock", View(), "stock", [row(7, "RIM", 1, 1, lot=5)], shared=[("lot", "L5"), ("x", "L5")]
    )
    assert "stock:{RIM}:WH:location=R1,lot=L5~5" in found
    assert found.keys() >= {"stock:{RIM}", "stock:{RIM}:WH"}


def test_two_codes_swapped_in_one_transaction_keep_their_keys_live() -> None:
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([row(7, "A", 1, 1), row(8, "B", 1, 2)], 1, 0)
    levels.documents()
    gone = [row(7, "A", 1, 0, count=0), row(8, "B", 1, 0, count=0)]
    levels.absorb([*gone, row(7, "B", 1, 1), row(8, "A", 1, 2)], 2, 0)
    documents = {d.key: d for d in levels.documents()}
    assert {k: d.fields[1] for k, d in documents.items() if k.count(":") == 1} == {"stock:{A}": "2", "stock:{B}": "1"}
    assert {d.offset for d in documents.values()} == {2}


def test_scales_are_aligned_and_a_doubles_zeros_are_cut() -> None:
    view = View(amounts=(Amount("on_hand", 4), Amount("reserved", 2)))
    assert expected_documents("s", view, "stock", [row(7, "A", 1, 12500, 50)])["s:{A}"]["available"] == "0.7500"
    view = View(amounts=(Amount("on_hand", 9, approx=True), Amount("reserved")))
    assert expected_documents("s", view, "stock", [row(7, "A", 1, -2410000000, 1)])["s:{A}"]["available"] == "-3.41"


def test_without_reservations_nothing_is_available() -> None:
    fields = expected_documents("s", View(), "none", [row(7, "A", 1, 5)])["s:{A}:WH"]
    assert fields == {"on_hand": "5", "usable": "5"}


@pytest.mark.parametrize(
    ("keys", "reserved", "says"),
    [
        (("item", "warehouse", "org"), "stock", "org"),
        (("item", "warehouse", "uom"), "stock", "uom"),
        (("item",), "stock", "warehouse"),
        (("item", "warehouse"), "orders.open", "orders.open"),
    ],
)
def test_what_is_not_served_is_refused(keys: tuple[str, ...], reserved: str, says: str) -> None:
    with pytest.raises(PackError, match=says):
        stock_levels("stock", View(keys=keys), reserved)


GROUP = st.tuples(
    st.integers(1, 3),
    st.sampled_from(["A", "B", None]),
    st.integers(1, 2),
    st.integers(-9, 9),
    st.integers(0, 3),
    st.integers(0, 2),
)


@given(st.lists(st.lists(GROUP, max_size=5), max_size=8))
def test_any_history_ends_as_its_last_state_and_each_change_is_shown(history: list[list[tuple]]) -> None:
    """What readers hold after following every document = the levels computed at once from the live rows."""
    levels, held, live = stock_levels("stock", View(), "stock"), {}, {}
    for offset, groups in enumerate(history):
        rows = {
            r[0]: r for r in (row(i, c, loc, q if n else 0, s if n else 0, count=n) for i, c, loc, q, s, n in groups)
        }
        levels.absorb(rows.values(), offset, 0)
        live |= rows
        held |= shown(levels)
    served = {k: v for k, v in held.items() if v}
    assert served == expected_documents("stock", View(), "stock", [r for r in live.values() if r[1]])
    by_item: dict[int, int] = defaultdict(int)
    for key, count, (on_hand, _) in live.values():
        by_item[key[0]] += on_hand if count else 0
    assert sum(by_item.values()) == sum(int(v["on_hand"]) for k, v in served.items() if k.count(":") == 1)


def test_a_level_that_was_empty_while_its_item_and_warehouse_were_renamed() -> None:
    levels = stock_levels("stock", View(), "stock")
    gone, other = row(7, "RIM", 1, 0, count=0), row(7, "RIM", 2, 3)
    levels.absorb([row(7, "RIM", 1, 10), other], 1, 0)
    levels.documents()
    levels.absorb([gone], 2, 0)
    levels.absorb([row(7, "HOOP", 2, 3), row(7, "RIM", 2, 0, count=0)], 3, 0)
    levels.absorb([row(7, "HOOP", 1, 10)], 4, 0)
    assert {key for key, fields in shown(levels).items() if fields} == {
        "stock:{HOOP}", "stock:{HOOP}:WH", "stock:{HOOP}:WH:location=R1", "stock:{HOOP}:WH:location=R2",
    }  # fmt: skip
    elsewhere = lambda code: ((7, "HOOP", 2, code, 9, "S", None, None), 1, (4, 0))  # noqa: E731
    levels.absorb([elsewhere("B1")], 5, 0)
    assert shown(levels)["stock:{HOOP}"]["w:B1"] == "4"
    levels.absorb([(elsewhere("B1")[0], 0, (0, 0))], 6, 0)
    levels.absorb([((8, "NUT", 2, "B2", 9, "S", None, None), 1, (1, 0))], 7, 0)
    levels.absorb([elsewhere("B2")], 8, 0)
    assert {name for name in shown(levels)["stock:{HOOP}"] if name.startswith("w:")} == {"w:WH", "w:B2"}
