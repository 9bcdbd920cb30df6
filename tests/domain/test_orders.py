import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import NotServedError, PackError
from pipeline.domain.levels import StockLevels, stock_levels
from pipeline.domain.orders import OrderBook, order_book


@dataclass(frozen=True)
class Amount:
    name: str
    scale: int = 0
    approx: bool = False


@dataclass(frozen=True)
class View:
    keys: tuple[str, ...]
    amounts: tuple[Amount, ...]


STOCK = View(("item_id", "item", "warehouse_id", "warehouse"), (Amount("on_hand"), Amount("reserved")))
ORDERS = View(
    ("order_no_id", "order_no", "line", "item_id", "item", "warehouse_id", "warehouse", "status", "due"),
    (Amount("required", 1), Amount("issued", 1), Amount("reserved", 1)),
)
CODES = {1: "RIM", 2: "HUB", 10: "WH", 20: "SHOP", None: None}
Row = tuple[tuple[Any, ...], int, tuple[int, ...]]


def stock(item: int, warehouse: int | None, on_hand: int, reserved: int = 0, count: int = 1) -> Row:
    return (item, CODES[item], warehouse, CODES[warehouse]), count, (on_hand, reserved)


def line(
    order: int, at: int, item: int, required: int, issued: int = 0, *, warehouse: int | None = 10,
    due: str = "2026-12-01", status: str = "released", reserved: int = 0, count: int = 1, number: str | None = None,
) -> Row:  # fmt: skip
    """Quantities in tenths."""
    shown = f"W{order}" if number is None else number
    key = (order, shown or None, at, item, CODES[item], warehouse, CODES[warehouse], status, due)
    return key, count, (required, issued, reserved)


@dataclass
class Source:
    reserved: str = "none"
    levels: StockLevels = field(init=False)
    book: OrderBook = field(init=False)
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    offset: int = 0

    def __post_init__(self) -> None:
        self.levels = stock_levels("stock", STOCK, self.reserved)
        self.book = order_book("stock", ORDERS, self.levels)

    def cut(self, stock: list[Row] = (), lines: list[Row] = ()) -> None:  # type: ignore[assignment]  # never changed
        self.offset += 1
        changed = self.levels.absorb(stock, self.offset, 1000 * self.offset)
        self.book.absorb(lines, changed, self.offset, 1000 * self.offset)

    def show(self) -> dict[str, dict[str, Any]]:
        """What changed since the last call, by key; {} = gone."""
        self.levels.documents()
        documents = self.book.documents()
        assert all(d.order and d.level is None for d in documents)
        found = {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in documents}
        assert len(found) == len(documents)
        return {
            key: fields | ({"lines": json.loads(fields["lines"])} if fields else {}) for key, fields in found.items()
        }

    def figures(self, name: str) -> dict[tuple[str, str], str]:
        return {(d["order_no"], x["line"]): x[name] for d in self.show().values() if d for x in d["lines"]}


def test_a_line_with_all_its_figures() -> None:
    source = Source()
    source.cut([stock(1, 10, 3)], [line(7, 1, 1, 105, 40)])
    assert source.show() == {
        "stock:order:W7": {
            "order_no": "W7", "status": "released", "due": "2026-12-01",
            "lines_open": "1", "lines_short": "1", "lines_over": "0",
            "lines": [{
                "line": "1", "item": "RIM", "warehouse": "WH", "status": "released", "due": "2026-12-01",
                "required": "10.5", "issued": "4.0", "reserved": "0.0", "open": "6.5", "over": "0.0", "short": "3.5",
                "covered": "38",
            }],
        }
    }  # fmt: skip
    assert source.show() == {}


def test_two_orders_of_sixty_and_a_hundred_in_stock() -> None:
    """The contract's example: the later one is short of 20, not both."""
    source = Source()
    source.cut([stock(1, 10, 100)], [line(1, 1, 1, 600, due="2026-12-02"), line(2, 1, 1, 600, due="2026-12-01")])
    assert source.figures("short") == {("W1", "1"): "20.0", ("W2", "1"): "0.0"}
    source.cut([], [line(1, 1, 1, 600, due="2026-12-02", count=0), line(1, 1, 1, 600, due="2026-11-30")])
    assert source.figures("short") == {("W1", "1"): "0.0", ("W2", "1"): "20.0"}
    source.cut([stock(1, 10, 121)])
    assert source.figures("short") == {("W2", "1"): "0.0"}, "the other order has not changed"


def test_where_the_erp_reserves_a_line_is_covered_by_its_own_reservation() -> None:
    source = Source(reserved="stock")
    source.cut([stock(1, 10, 100, reserved=100)], [line(1, 1, 1, 600, reserved=600), line(2, 1, 1, 600, reserved=400)])
    assert source.figures("short") == {("W1", "1"): "0.0", ("W2", "1"): "20.0"}


def test_demand_without_a_warehouse_may_come_from_any_after_what_is_due_before() -> None:
    source = Source()
    nowhere = line(1, 1, 1, 600, warehouse=None, due="2026-12-05")
    source.cut([stock(1, 10, 50), stock(1, 20, 30)], [nowhere, line(2, 1, 1, 300, due="2026-12-01")])
    assert source.figures("short") == {("W1", "1"): "10.0", ("W2", "1"): "0.0"}
    source.cut([stock(1, 20, 41)])
    assert source.figures("short") == {("W1", "1"): "0.0"}


def test_demand_without_a_warehouse_takes_nothing_from_those_who_have_one() -> None:
    source = Source()
    early = [line(1, 1, 1, 500, warehouse=None, due="2026-12-01"), line(3, 1, 1, 300, warehouse=20, due="2026-12-01")]
    source.cut([stock(1, 10, 50), stock(1, 20, 30)], [*early, line(2, 1, 1, 500, due="2026-12-05")])
    assert source.figures("short") == {("W1", "1"): "0.0", ("W2", "1"): "0.0", ("W3", "1"): "0.0"}


@pytest.mark.parametrize(
    ("required", "issued", "status", "figures"),
    [
        (100, 0, "planned", ("0.0", "0.0", "0")),
        (100, 130, "released", ("0.0", "3.0", "100")),
        (100, 99, "closed", ("0.0", "0.0", "99")),
        (0, 0, "cancelled", ("0.0", "0.0", "100")),
        (0, 20, "cancelled", ("0.0", "2.0", "100")),
        (100, -20, "released", ("12.0", "0.0", "0")),
    ],
)
def test_what_is_open_over_and_covered(required: int, issued: int, status: str, figures: tuple[str, ...]) -> None:
    source = Source()
    source.cut([], [line(1, 1, 1, required, issued, status=status)])
    [shown] = source.show().values()
    assert tuple(shown["lines"][0][name] for name in ("open", "over", "covered")) == figures


def test_an_order_that_gets_its_number_ends_under_its_old_name() -> None:
    source = Source()
    source.cut([], [line(1, 1, 1, 10, number=""), line(1, 2, 2, 10, number="")])
    assert list(source.show()) == ["stock:order:~1"]
    source.cut([], [line(1, n, n, 10, number="", count=0) for n in (1, 2)] + [line(1, n, n, 10) for n in (1, 2)])
    shown = source.show()
    assert shown.keys() == {"stock:order:W1", "stock:order:~1"}
    assert shown["stock:order:~1"] == {}


def test_two_orders_that_swap_their_numbers_are_both_there() -> None:
    source = Source()
    source.cut([], [line(1, 1, 1, 10, number="A"), line(2, 1, 1, 20, number="B")])
    source.show()
    gone = [line(1, 1, 1, 10, number="A", count=0), line(2, 1, 1, 20, number="B", count=0)]
    source.cut([], [*gone, line(1, 1, 1, 10, number="B"), line(2, 1, 1, 20, number="A")])
    assert {key: d["lines"][0]["required"] for key, d in source.show().items()} == {
        "stock:order:A": "2.0",
        "stock:order:B": "1.0",
    }


def test_two_values_of_one_attribute_are_the_smallest_and_degraded() -> None:
    source = Source()
    source.cut([], [line(1, 1, 1, 10, due="2026-12-02"), line(1, 1, 1, 5, due="2026-12-01")])
    [shown] = source.show().values()
    assert (shown["due"], shown["degraded"]) == ("2026-12-01", "due has several values")
    assert shown["lines"][0]["required"] == "1.5"


def test_what_is_in_doubt_is_served_as_degraded() -> None:
    source = Source()
    first, second = line(1, 1, 1, 10), line(2, 1, 2, 10)
    source.cut([stock(1, 10, 5), stock(2, 10, 5)], [first, second])
    source.show()
    source.book.mark({first[0]: "because"}, "", 5, 0)
    assert {key: d.get("degraded") for key, d in source.show().items()} == {"stock:order:W1": "because"}
    source.book.mark({}, "all", 6, 0)
    assert {d["degraded"] for d in source.show().values()} == {"all"}
    source.book.mark({}, "", 7, 0)
    assert not any("degraded" in d for d in source.show().values())
    source.levels.mark({stock(2, 10, 5)[0]: "stock"}, 8, 8)
    source.book.mark({}, "", 8, 0)
    assert {key: d["degraded"] for key, d in source.show().items()} == {"stock:order:W2": "stock"}


def test_orders_and_stock_meet_by_the_same_names() -> None:
    levels = stock_levels("stock", STOCK, "none")
    with pytest.raises(PackError, match="tells items apart by id"):
        order_book("stock", View(("order_no", "line", "item"), ORDERS.amounts), levels)
    with pytest.raises(NotServedError, match="org"):
        order_book("stock", View(("org", *ORDERS.keys), ORDERS.amounts), levels)


LINE = st.builds(
    line, st.integers(1, 4), st.integers(1, 2), st.integers(1, 2), st.integers(0, 90), st.integers(-10, 99),
    warehouse=st.sampled_from([10, 20, None]), due=st.sampled_from(["2026-12-01", "2026-12-02", None]),
    status=st.sampled_from(["released", "closed"]), reserved=st.integers(0, 20), count=st.integers(0, 2),
    number=st.sampled_from(["", "A", "W4", None]),
)  # fmt: skip
STOCKED = st.builds(
    stock, st.integers(1, 2), st.sampled_from([10, 20]), st.integers(-3, 9), st.integers(0, 4), st.integers(0, 1)
)
CUTS = st.lists(st.tuples(st.lists(STOCKED, max_size=2), st.lists(LINE, max_size=4), st.booleans()), max_size=8)


def naive_short(reserved: str, stock: list[Row], lines: list[Row]) -> dict[tuple[int, int], int]:
    """What each line is short by, in tenths, straight from the contract."""
    usable, available, open_, facts = defaultdict(int), defaultdict(int), {}, defaultdict(list)
    for (item, _, warehouse, _), _, (on_hand, held) in stock:
        for place in ((item, warehouse), (item, None)):
            usable[place] += 10 * on_hand
            available[place] += 10 * (on_hand - held)
    for key, _, amounts in lines:
        facts[key[0], key[2]].append((key, amounts))
    own = {}
    for ident, rows in facts.items():
        status = min((k[7] for k, _ in rows))
        required, issued, own[ident] = (sum(a[i] for _, a in rows) for i in range(3))
        item = min(k[3] for k, _ in rows)
        warehouse = min((k[5] for k, _ in rows if k[5]), default=None)
        due = min((k[8] for k, _ in rows if k[8]), default="9999")
        open_[due, *ident] = (max(0, required - issued) if status == "released" else 0, item, warehouse)
    short = {}
    for (due, *ident), (n, item, warehouse) in open_.items():
        earlier = [
            m for (d, *i), (m, it, wh) in open_.items()
            if (d, *i) < (due, *ident) and it == item and (wh == warehouse or warehouse is None)
        ]  # fmt: skip
        place, which = (item, warehouse), tuple(ident)
        room = available[place] + own[which] if reserved == "stock" else usable[place] - sum(earlier)
        short[which] = max(0, n - max(0, room))
    return short


@given(CUTS, st.sampled_from(["stock", "none"]))
def test_any_history_ends_as_its_last_state(cuts: list[tuple], reserved: str) -> None:
    live, replayed = Source(reserved), Source(reserved)
    stock_rows, line_rows, held = {}, {}, {}
    for stocked, lines, is_read in cuts:
        stock_now, lines_now = ({r[0]: r for r in rows} for rows in (stocked, lines))
        stock_rows |= stock_now
        line_rows |= lines_now
        for source in (live, replayed):
            source.cut(list(stock_now.values()), list(lines_now.values()))
        if is_read:
            held |= live.show()
    held |= live.show()
    rows = [[r for r in found.values() if r[1]] for found in (stock_rows, line_rows)]
    at_once = Source(reserved)
    at_once.cut(*rows)
    assert {k: d for k, d in held.items() if d} == at_once.show()
    documents = ({d.key: d for d in s.book.all_documents()} for s in (live, replayed))
    assert next(documents) == next(documents), "reading in between changes nothing, versions neither"
    found = {(o.ident, n.ident): n.short for o in live.book.orders.values() for n in o.lines.values()}
    assert found == naive_short(reserved, *rows)
