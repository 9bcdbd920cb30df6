"""Which step a change belongs to, how fast it came, and how it looks."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from infra.demo.board import Board, quantile
from infra.demo.feed import Change
from infra.demo.table import draw, save_svg

T0 = 1_795_341_600_000  # 2026-11-22T10:00:00Z
META = {"state": "live", "as_of": "2026-11-22T10:00:02.000Z"}
ALERT = {
    "id": "negative_available/TYRE/SHOP", "kind": "negative_available", "state": "open", "item": "TYRE",
    "warehouse": "SHOP", "available": "-8", "since": "2026-11-22T10:00:01.500Z",
}  # fmt: skip


def change(item: str, warehouse: str, at: int, on_hand: str = "5", reserved: str = "0", available: str = "5") -> Change:
    fields = {"on_hand": on_hand, "reserved": reserved, "available": available}
    return Change(item, warehouse, fields, T0 + at, T0 + at + 12)


@pytest.fixture
def board() -> Board:
    board = Board()
    board.take([change("RIM", "WH", -500), change("TYRE", "SHOP", -400)], META, [])
    board.begin("rims arrive", T0)
    board.begin("tyres promised: forced", T0 + 1000)
    # seen only now, though committed while the first step ran
    board.take([change("RIM", "WH", 900, "17"), change("TYRE", "SHOP", 1500, "12", "20", "-8")], META, [ALERT])
    return board


def test_a_change_belongs_to_the_step_in_which_it_was_committed(board: Board) -> None:
    assert board.step_says(board.rows["RIM", "WH"].step) == "rims arrive"
    assert board.step_says(board.rows["TYRE", "SHOP"].step) == "tyres promised: forced"
    assert board.touched[1] == {("TYRE", "SHOP"): {"on_hand": "12", "reserved": "20", "available": "-8"}}


def test_the_opening_stock_belongs_to_no_step_and_counts_for_no_speed(board: Board) -> None:
    assert board.step_says(-1) == "opening stock"
    assert board.latencies == [[12.0], [12.0]]
    assert board.milliseconds(0.95) == 12.0


def test_alerts_come_and_go_once(board: Board) -> None:
    board.take([], META, [ALERT])
    board.take([], META, [])
    assert [(event.alert["item"], event.resolved) for event in board.events] == [("TYRE", False), ("TYRE", True)]


@pytest.mark.parametrize(("values", "share", "expected"), [([], 0.5, None), ([3, 1, 2], 0.5, 2), ([1, 2], 0.95, 2)])
def test_quantile(values: list[float], share: float, expected: float | None) -> None:
    assert quantile(values, share) == expected


@pytest.mark.parametrize("width", [100, 160])
def test_the_table_fits_and_says_it_all(board: Board, width: int) -> None:
    text = _printed(board, width)
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"TYRE +SHOP +12 +20 +-8 +10:00:01\.500 +tyres promised: forced", text)
    for part in ("step 2/9", "live · feed age 1.0 s", "12 ms p50", "available -8 of TYRE in SHOP"):
        assert part in text


def test_negatives_are_red_and_rows_of_the_current_step_stand_out(board: Board) -> None:
    lines = _printed(board, 100, color=True).splitlines()
    [tyre] = [line for line in lines if "TYRE" in line and "SHOP" in line and "promised" in line]
    [rim] = [line for line in lines if "RIM" in line]
    assert re.search(r"\x1b\[1;31;48;5;\d+m *-8", tyre)
    assert "48;5;" not in rim


@pytest.mark.parametrize("alerts", [[], [ALERT, {**ALERT, "id": "y"}]])
@pytest.mark.parametrize("width", [80, 100])
def test_a_low_terminal_shows_what_changed_last(alerts: list[dict[str, str]], width: int) -> None:
    board = Board()
    board.take([change(f"ITEM-{n}", "WH", n) for n in range(30)], META, alerts)
    text = _printed(board, width, height=20)
    assert len(text.splitlines()) < 20
    assert "ITEM-29" in text
    assert "ITEM-0 " not in text


def test_the_picture_needs_nothing_from_elsewhere(board: Board, tmp_path: Path) -> None:
    save_svg(draw(board, T0 + 3000, 9), tmp_path / "live.svg")
    svg = (tmp_path / "live.svg").read_text()
    assert "TYRE" in svg
    assert not re.search(r"url\(.?http|@import|<image", svg)


def _printed(board: Board, width: int, *, height: int = 0, color: bool = False) -> str:
    out = io.StringIO()
    system = "256" if color else None
    Console(file=out, width=width, force_terminal=color, color_system=system).print(draw(board, T0 + 3000, 9, height))
    return out.getvalue()
