"""Rules over every scope: exact figures, unknown is no alert, policy by warehouse, item and group."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.domain.alert_book import AlertBook
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.domain.items import Items
from pipeline.domain.levels import Group, stock_levels
from pipeline.rules import Known, compile_rules, load
from tests.domain.test_alerts import Cut
from tests.domain.test_levels import Amount, View

KEYS = ("item", "warehouse", "lot", "status")
ITEMS = View(
    keys=("item", "warehouse", "name", "item_group"), amounts=(Amount("safety_stock", 1), Amount("max_stock", 0))
)


class Site:
    def __init__(self, path: Path, toml: str, *, reserved: str = "stock", with_items: bool = True) -> None:
        (path / "alerts.toml").write_text(toml)
        self.levels = stock_levels(
            "stock", View(keys=KEYS, amounts=(Amount("on_hand", 2), Amount("reserved", 2))), reserved
        )
        self.items = Items(ITEMS, self.levels) if with_items else None
        self.book = AlertBook(compile_rules(load(path / "alerts.toml"), Known(self.levels, self.items)))
        self.offset = 0

    def take(self, *stock: Group, items: tuple[Group, ...] = ()) -> list[Alert]:
        self.offset += 1
        changed = self.levels.absorb(stock, self.offset, 0)
        changed += self.items.absorb(items) if self.items is not None else []
        return self.book.evaluate(changed, Cut(self.offset, Position(self.offset), 0))


def of(item: Any, warehouse: Any, on_hand: int, reserved: int = 0, lot: str = "L1", status: str = "free") -> Group:
    return (item, warehouse, lot, status), 1, (on_hand, reserved)


def limit(item: str, warehouse: str | None, safety: int, group: str | None = None) -> Group:
    return (item, warehouse, "a name", group), 1, (safety, 0)


def kinds(events: list[Alert]) -> list[str]:
    return [a.kind for a in events]


OFF = "".join(f"[{kind}]\nenabled = false\n" for kind in ("negative_on_hand", "negative_available"))


@pytest.mark.parametrize(
    ("when", "on_hand", "holds"),
    [
        ("on_hand < 10", 999, True), ("on_hand < 10", 1000, False), ("on_hand < 9.999", 999, True),
        ("on_hand <= 9.99", 999, True), ("on_hand < 9.985", 999, False), ("on_hand * 2 < 19.99", 999, True),
        ("on_hand BETWEEN 1 AND 2", 200, True), ("on_hand BETWEEN 1 AND 2", 201, False),
        ("on_hand < 10 AND warehouse = '01'", 1, False), ("on_hand < 10 AND warehouse IN ('02', '01')", 1, True),
        ("on_hand < 10 AND NOT (warehouse IN ('02'))", 1, False), ("on_hand < 10 AND item IS NULL", 1, False),
        ("on_hand < 10 AND SUBSTRING(item, 1, 3) = 'TL-'", 1, True), ("on_hand < 10 AND UPPER(item) = 'TL-9'", 1, True),
        ("on_hand < safety_stock", 1, False), ("NOT (on_hand < safety_stock)", 1, False),
        ("item_group IS NULL", 1, True), ("on_hand < CASE WHEN warehouse = '02' THEN 5 ELSE 0 END", 1, True),
    ],
)  # fmt: skip
def test_conditions_are_exact(tmp_path: Path, when: str, on_hand: int, holds: bool) -> None:
    site = Site(tmp_path, f'{OFF}[low]\nscope = "level"\nwhen = "{when}"\n')
    assert kinds(site.take(of("TL-9", "02", on_hand))) == ["low"] * holds


def test_below_safety_where_it_is_kept_by_warehouse_and_where_for_all(tmp_path: Path) -> None:
    site = Site(tmp_path, "")
    assert site.take(of("A", "01", 500), of("B", "01", 300), of("B", "02", 300)) == []
    events = site.take(items=(limit("A", "01", 51), limit("B", None, 61), limit("C", "01", 99)))
    figures = {"available": "5.00", "on_hand": "5.00", "safety_stock": "5.1"}
    assert [(a.kind, a.facts) for a in events] == [
        ("below_safety", {"item": "A", "warehouse": "01"} | figures),
        ("item_below_safety", {"item": "B"} | {name: text.replace("5.", "6.") for name, text in figures.items()}),
    ]
    assert {a.state for a in site.take(of("A", "01", 520), of("B", "02", 310))} == {"resolved"}
    assert kinds(site.take(of("B", "02", 310, 1))) == ["item_below_safety"], "reserved is not available"
    gone = ("A", "01", "a name", None), 0, (0, 0)
    site.take(of("A", "01", 500))
    assert [(a.kind, a.state) for a in site.take(items=(gone,))] == [("below_safety", "resolved")]


def test_without_reservations_what_is_on_hand_counts(tmp_path: Path) -> None:
    site = Site(tmp_path, "", reserved="none")
    site.take(items=(limit("A", "01", 51),))
    assert kinds(site.take(of("A", "01", 500))) == ["below_safety"]
    assert kinds(Site(tmp_path, "", reserved="none", with_items=False).take(of("A", "01", -1))) == ["negative_on_hand"]


def test_a_negative_bin_does_not_hide_in_a_positive_warehouse(tmp_path: Path) -> None:
    site = Site(tmp_path, '[bin]\nscope = "detail"\nwhen = "on_hand < 0 AND NOT (status = \'transit\')"\n')
    events = site.take(of("A", "01", -100), of("A", "01", 900, lot="L2"), of("A", "01", -1, status="transit"))
    assert [a.facts for a in events] == [
        {"item": "A", "warehouse": "01", "lot": "L1", "status": "free", "on_hand": "-1.00"}
    ]
    assert [a.state for a in site.take(of("A", "01", 0))] == ["resolved"]


def test_policy_by_warehouse_and_group(tmp_path: Path) -> None:
    consigned = "on_hand < 0 AND NOT (warehouse IN ('VMI') OR COALESCE(item_group, '') = '寄售')"
    site = Site(tmp_path, f'[negative_on_hand]\nwhen = "{consigned}"\n[negative_available]\nenabled = false\n')
    site.take(items=(limit("C", "01", 0, "寄售"), limit("D", "01", 0, "钢材")))
    events = site.take(of("A", "VMI", -1), of("A", "01", -1), of("C", "01", -1), of("D", "01", -1))
    assert [(a.facts["item"], a.facts["warehouse"]) for a in events] == [("A", "01"), ("D", "01")]
