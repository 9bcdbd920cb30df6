"""Rules over lines of orders: over-issue, shortage of what is due, and what a new day makes due."""

from pathlib import Path

from pipeline.domain.alert_book import AlertBook
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.rules import Known, compile_rules, load, unable
from tests.domain.test_alerts import Cut
from tests.domain.test_orders import Row, Source, line, stock

TODAY = "2026-11-22"


class Site(Source):
    """Orders beside stock, with the shipped rules and those of a site."""

    def begin(self, *files: Path) -> "Site":
        rules = [r for r in load(*files) if r.scope == "order"]
        self.alerts = AlertBook(compile_rules(rules, Known(self.levels, orders=self.book)))
        self.book.turn(TODAY)
        return self

    def take(self, stock: list[Row] = (), lines: list[Row] = ()) -> list[Alert]:  # type: ignore[assignment]  # never changed
        self.cut(stock, lines)
        return self.alerts.evaluate([], Cut(self.offset, Position(self.offset), 1000 * self.offset))


def said(events: list[Alert]) -> list[tuple[str, str]]:
    return [(a.stem, a.state) for a in events]


def test_an_over_issue_is_told_until_it_is_returned() -> None:
    site = Site().begin()
    assert site.take([stock(1, 10, 100)], [line(7, 1, 1, 100, 100)]) == []
    (opened,) = site.take([], [line(7, 1, 1, 100, 120)])
    assert (opened.kind, opened.severity, opened.department) == ("over_issue", "critical", "warehouse")
    assert opened.facts == {"order_no": "W7", "line": "1", "item": "RIM", "warehouse": "WH", "over": "2.0"}
    assert opened.stem == "over_issue/W7/1"
    (ended,) = site.take([], [line(7, 1, 1, 100, 90)])
    assert (ended.id, ended.state, ended.facts["over"]) == (opened.id, "resolved", "0.0")


def test_a_shortage_is_told_of_what_is_due_and_follows_the_stock() -> None:
    site = Site().begin()
    lines = [line(7, 1, 1, 600, due="2026-11-24"), line(8, 1, 1, 600, due="2026-11-25")]
    (opened,) = site.take([stock(1, 10, 100)], lines)
    assert opened.stem == "shortage/W8/1", "what is due first is covered"
    assert {name: opened.facts[name] for name in ("short", "days_to_due")} == {"short": "20.0", "days_to_due": "3"}
    assert said(site.take([stock(1, 10, 120)])) == [("shortage/W8/1", "resolved")]
    assert said(site.take([stock(1, 10, 0)])) == [("shortage/W7/1", "open"), ("shortage/W8/1", "open")]
    assert said(site.take([], [line(7, 1, 1, 600, due="2026-11-24", count=0)])) == [("shortage/W7/1", "resolved")]


def test_a_new_day_makes_it_due() -> None:
    site = Site().begin()
    assert site.take([], [line(7, 1, 1, 600, due="2026-11-26")]) == []
    site.book.turn("2026-11-23")
    assert said(site.take()) == [("shortage/W7/1", "open")]
    site.book.turn("2026-11-24")
    assert [(a.state, a.facts["days_to_due"]) for a in site.take()] == [("updated", "2")]


def test_an_own_tolerance_and_what_the_pack_does_not_yield(tmp_path: Path) -> None:
    own = tmp_path / "alerts.toml"
    own.write_text(
        "[over_issue]\nwhen = \"issued > required * 1.02 AND NOT (order_no = 'W9') AND due < DATE '2027-01-01'\"\n"
        '[rework]\nscope = "order"\nwhen = "scrapped > 0"\n'
    )
    site = Site().begin(own)
    assert said(site.take([], [line(7, 1, 1, 100, 102), line(8, 1, 1, 100, 103), line(9, 1, 1, 100, 103)])) == [
        ("over_issue/W8/1", "open")
    ]
    assert unable(load(own), Known(site.levels, orders=site.book)) == {"rework": "scrapped"}
    assert unable(load(own), Known(site.levels)) == {"over_issue": "issued", "rework": "scrapped"}
