from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import NotServedError, PackError
from pipeline.domain.levels import stock_levels
from pipeline.domain.movements import POSTED, REVERSED, MovementBook, movement_book


@dataclass(frozen=True)
class Amount:
    name: str
    scale: int = 0
    approx: bool = False


@dataclass(frozen=True)
class View:
    keys: tuple[str, ...]
    amounts: tuple[Amount, ...]


STOCK = View(("item_id", "item", "warehouse"), (Amount("on_hand", 1),))
MOVES = View(
    (
        "doc_type", "doc_no", "line_id", "leg", "item_id", "item", "warehouse", "kind", "posted", "posting_date",
        "order_no",
    ),
    (Amount("qty", 1),),
)  # fmt: skip
Row = tuple[tuple[Any, ...], int, tuple[int, ...]]


def move(
    at: int, qty: int, *, item: int = 7, code: str | None = "RIM", posted: int = 1, count: int = 1, no: str = "D1",
    date: str | None = "20261122", order: str | None = None, leg: str = "in",
) -> Row:  # fmt: skip
    return ("inv", no, at, leg, item, code, "WH", "receipt", posted, date, order), count, (qty,)


@pytest.fixture
def book() -> MovementBook:
    return movement_book(MOVES, stock_levels("stock", STOCK, "none"))


def events(book: MovementBook, *rows: Row) -> list[tuple[str, int, int]]:
    return [(c.event, c.key[2], c.amounts[0]) for c in book.take(rows)]


def test_what_is_posted_is_told_once_and_what_is_not_is_not(book: MovementBook) -> None:
    assert events(book, move(1, 50), move(2, 30, posted=0)) == [(POSTED, 1, 50)]
    assert events(book, move(1, 50), move(2, 30, posted=0)) == []
    assert events(book, move(2, 30, posted=0, count=0), move(2, 30)) == [(POSTED, 2, 30)]


def test_what_is_taken_back_is_reversed(book: MovementBook) -> None:
    book.take([move(1, 50), move(2, 30)])
    assert events(book, move(1, 50, count=0)) == [(REVERSED, 1, -50)]
    assert events(book, move(2, 30, count=0), move(2, 30, posted=0)) == [(REVERSED, 2, -30)]


def test_a_correction_is_a_reversal_and_another_posting(book: MovementBook) -> None:
    book.take([move(1, 50)])
    assert events(book, move(1, 40)) == [(REVERSED, 1, -50), (POSTED, 1, 40)]
    assert events(book, move(1, 40, count=0), move(1, 40, order="P-1")) == [(REVERSED, 1, -40), (POSTED, 1, 40)]


def test_another_code_of_the_item_is_no_event(book: MovementBook) -> None:
    book.take([move(1, 50)])
    assert events(book, move(1, 50, count=0), move(1, 50, code="RIM-622")) == []


def test_an_event_says_what_and_of_what_and_the_stock_around_it(book: MovementBook) -> None:
    [change] = book.take([move(1, 45, order="P-1")])
    before = book.on_hand(change)
    book.levels.absorb([((7, "RIM", "WH"), 1, (45,))], 1, 0)
    assert dict(book.fields(change, before)) == {
        "event": "posted", "doc_type": "inv", "doc_no": "D1", "line": "1", "leg": "in", "item": "RIM", "item_id": "7",
        "warehouse": "WH", "kind": "receipt", "posting_date": "2026-11-22", "order_no": "P-1", "qty": "4.5",
        "on_hand_before": "0.0", "on_hand_after": "4.5",
    }  # fmt: skip
    assert book.row(change) == "inv/1/in"
    [nameless] = book.take([move(2, 1, code=None)])
    assert dict(book.fields(nameless, 0))["item"] == "~7"


def test_movements_and_stock_meet_by_the_same_names() -> None:
    levels = stock_levels("stock", STOCK, "none")
    with pytest.raises(PackError, match=r"movements\.sql does not"):
        movement_book(View(("doc_type", "doc_no", "line", "item", "warehouse", "kind"), MOVES.amounts), levels)
    with pytest.raises(NotServedError, match="org"):
        movement_book(View(("org", *MOVES.keys), MOVES.amounts), levels)


MOVE = st.builds(
    move, st.integers(1, 3), st.integers(-2, 2), item=st.integers(7, 8),
    posted=st.integers(0, 1), count=st.integers(0, 2), order=st.sampled_from([None, "P"]),
)  # fmt: skip


@given(st.lists(st.lists(MOVE, max_size=5), max_size=8))
def test_the_events_of_any_history_add_up_to_what_is_posted(history: list[list[Row]]) -> None:
    book = movement_book(MOVES, stock_levels("stock", STOCK, "none"))
    live: dict[tuple[Any, ...], Row] = {}
    told: Counter[tuple[Any, ...]] = Counter()
    open_: set[tuple[Any, ...]] = set()
    for rows in history:
        now = {row[0]: row for row in rows}
        live |= now
        for change in book.take(list(now.values())):
            fact = (*change.key[:5], *change.key[6:])  # but for the code
            told[fact] += change.amounts[0]
            assert (fact in open_) == (change.event == REVERSED), "posted and reversed take turns"
            open_ ^= {fact}
    posted: Counter[tuple[Any, ...]] = Counter()
    for key, count, (qty,) in live.values():
        if count and key[8]:
            posted[*key[:5], *key[6:]] += qty
    assert open_ == {(*key[:5], *key[6:]) for key, count, _ in live.values() if count and key[8]}
    assert {fact: n for fact, n in told.items() if fact in open_} == dict(posted)
