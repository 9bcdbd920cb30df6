"""Alerts: when they open, how they follow, how they end, and what a worker's start makes of those told before."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from pipeline.domain.alert_book import AlertBook
from pipeline.domain.alert_start import Before, reconcile
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.domain.levels import StockLevels, stock_levels
from pipeline.rules import Known, compile_rules, load
from tests.domain.test_levels import View, row

EPOCH = 1_795_387_656
NEGATIVE = "negative_available/RIM/WH"
Facts = dict[str, str]


class Cut(NamedTuple):
    offset: int
    position: Position
    time_ms: int


class Site:
    """Levels, and an alert book with rules; `take` is a cut at which some result rows changed."""

    def __init__(self, tmp_path: Any = None, toml: str = "", view: View | None = None) -> None:
        if toml:
            (tmp_path / "alerts.toml").write_text(toml)
        rules = [r for r in load(*([tmp_path / "alerts.toml"] if toml else [])) if toml == "" or not r.is_shipped]
        rules = [r for r in rules if toml or r.rule.kind == "negative_available"]
        self.levels: StockLevels = stock_levels("stock", view or View(), "stock")
        self.book = AlertBook(compile_rules(rules, Known(self.levels)))
        self.book.epoch = EPOCH

    def take(self, offset: int, *rows: Any, seconds: int | None = None) -> list[Alert]:
        cut = Cut(offset, Position(offset), 1000 * (offset if seconds is None else seconds))
        return self.book.evaluate(self.levels.absorb(rows, offset, cut.time_ms), cut)

    def reconcile(self, published: Sequence[Alert], served: Sequence[Alert], told: int) -> list[Alert]:
        by_id = [{a.id: a for a in some} for some in (published, served)]
        return reconcile(self.book, [], Before(*by_id, told), Cut(99, Position(99), 99_000))


def said(events: Iterable[Alert]) -> list[tuple[str, str]]:
    return [(a.id.replace(f"{EPOCH}.", ""), a.state) for a in events]


def test_an_alert_opens_follows_and_ends_with_available() -> None:
    site = Site()
    (opened,) = site.take(1, row(7, "RIM", 1, 2, 5))
    assert opened.to_dict() == {
        "id": f"{NEGATIVE}/{EPOCH}.1", "kind": "negative_available", "state": "open", "severity": "warning",
        "department": "planning", "since": "1970-01-01T00:00:01.000Z", "position": "0/1", "count": "1",
        "item": "RIM", "warehouse": "WH", "available": "-3",
    }  # fmt: skip
    assert Alert.from_dict(opened.to_dict()) == opened
    (updated,) = site.take(2, row(7, "RIM", 1, 1, 5))
    assert (updated.id, updated.state, updated.facts["available"]) == (opened.id, "updated", "-4")
    assert (updated.since, updated.position) == (opened.since, "0/2")
    assert site.book.open == {opened.id: updated}
    assert site.take(3, row(7, "RIM", 1, 2, 6)) == [], "what it tells has not changed"
    (ended,) = site.take(4, row(7, "RIM", 1, 9, 5))
    assert (ended.id, ended.state, ended.facts["available"], ended.since) == (opened.id, "resolved", "4", opened.since)
    assert site.book.open == {}
    assert sum(site.book.counts.values()) == 0
    assert said(site.take(5, row(7, "RIM", 1, 2, 5))) == [(f"{NEGATIVE}/5", "open")], "another episode, another id"


def test_an_alert_says_its_codes_as_people_write_them() -> None:
    site = Site(view=View(keys=("item", "warehouse")))
    short = [("R/M 7", "W:1"), ("A", "B/C"), ("A/B", "C"), ("*", "~")]
    opened = site.take(1, *[(key, 1, (2, 5)) for key in short])
    assert [(a.facts["item"], a.facts["warehouse"]) for a in opened] == short
    assert opened[0].id == f"negative_available/R%2FM%207/W%3A1/{EPOCH}.1"
    assert len({a.id for a in opened}) == 4


def test_an_alert_follows_a_renamed_item_and_a_vanished_one() -> None:
    site = Site()
    site.take(1, row(7, "RIM", 1, -1))
    events = site.take(2, row(7, "RIM", 1, 0, count=0), row(7, "HOOP", 1, -1))
    assert said(events) == [(f"{NEGATIVE}/1", "resolved"), ("negative_available/HOOP/WH/2", "open")]
    assert events[0].facts["item"] == "RIM"
    assert said(site.take(3, row(7, "HOOP", 1, 0, count=0))) == [("negative_available/HOOP/WH/2", "resolved")]


def test_an_alert_ends_with_its_level_and_opens_with_the_one_that_has_the_code_now() -> None:
    site = Site()
    site.take(1, row(7, "RIM", 1, -1))
    events = site.take(2, row(8, "RIM", 1, -2), row(7, "RIM", 1, 0, count=0))
    assert [(*pair, e.facts["available"]) for pair, e in zip(said(events), events, strict=True)] == [
        (f"{NEGATIVE}/1", "resolved", "0"), (f"{NEGATIVE}/2", "open", "-2"),
    ]  # fmt: skip
    assert [e.state for e in site.take(3, row(8, "RIM", 1, -3))] == ["updated"]


def test_two_items_that_swap_codes_keep_their_alerts_apart() -> None:
    site = Site()
    site.take(1, row(7, "A", 1, -1), row(8, "B", 1, -2))
    gone = [row(7, "A", 1, 0, count=0), row(8, "B", 1, 0, count=0)]
    events = site.take(2, *gone, row(7, "B", 1, -1), row(8, "A", 1, -2))
    assert sorted(said(events)) == [
        (f"negative_available/{code}/WH/{n}", state) for code in "AB" for n, state in ((1, "resolved"), (2, "open"))
    ]
    assert {a.facts["item"]: a.facts["available"] for a in site.book.open.values()} == {"A": "-2", "B": "-1"}


WAITS = '[low]\nscope = "level"\nwhen = "on_hand < 10"\nfor = "5m"\n'


def test_what_must_last_is_told_when_it_has_lasted(tmp_path: Any) -> None:
    site = Site(tmp_path, WAITS)
    assert site.take(1, row(7, "RIM", 1, 9), seconds=100) == []
    assert site.take(2, row(7, "RIM", 1, 8), seconds=399) == []
    (opened,) = site.take(3, seconds=400)
    assert said([opened]) == [("low/RIM/WH/1", "open")]
    assert (opened.since, opened.facts["on_hand"]) == ("1970-01-01T00:01:40.000Z", "8")
    assert site.take(4, seconds=900) == []
    assert said(site.take(5, row(7, "RIM", 1, 10), seconds=901)) == [("low/RIM/WH/1", "resolved")]


def test_what_ends_before_that_is_never_told_and_waits_anew(tmp_path: Any) -> None:
    site = Site(tmp_path, WAITS)
    events = site.take(1, row(7, "RIM", 1, 9), seconds=100)
    events += site.take(2, row(7, "RIM", 1, 10), seconds=200)
    events += site.take(3, row(7, "RIM", 1, 9), seconds=300)
    events += site.take(4, seconds=500)
    assert events == []
    assert said(site.take(5, seconds=600)) == [("low/RIM/WH/3", "open")]


def test_it_lasts_until_its_other_condition_holds(tmp_path: Any) -> None:
    site = Site(tmp_path, '[low]\nscope = "level"\nwhen = "on_hand < 10"\nuntil = "on_hand >= 20"\n')
    assert site.take(1, row(7, "RIM", 1, 15)) == [], "it is no beginning"
    assert [e.state for e in site.take(2, row(7, "RIM", 1, 9))] == ["open"]
    assert [e.state for e in site.take(3, row(7, "RIM", 1, 19))] == ["updated"]
    assert [e.state for e in site.take(4, row(7, "RIM", 1, 20))] == ["resolved"]
    site.take(5, row(7, "RIM", 1, 9))
    assert [e.state for e in site.take(6, row(7, "RIM", 1, 19, count=0))] == ["resolved"], "what is gone has no alert"


MANY = '[low]\nscope = "level"\nwhen = "on_hand < 0"\nmost = 3\n'


def items(*amounts: int) -> list[Any]:
    return [row(n, f"I{n}", 1, amount) for n, amount in enumerate(amounts, 1)]


def test_a_cut_that_opens_too_many_opens_one_that_counts_them(tmp_path: Any) -> None:
    site = Site(tmp_path, MANY)
    (opened,) = site.take(1, *items(-1, -1, -1, -1))
    assert (opened.id, opened.count, opened.facts) == (f"low/*/{EPOCH}.1", "4", {})
    assert sum(site.book.counts.values()) == 4
    (one,) = site.take(2, row(9, "I9", 1, -1))
    assert one.id == f"low/I9/WH/{EPOCH}.2"
    (updated,) = site.take(3, *items(1, 1, -5))
    assert (updated.id, updated.state, updated.count) == (opened.id, "updated", "2")
    assert said(site.take(4, row(1, "I1", 1, -1))) == [("low/I1/WH/4", "open")], "it ended, and begins anew"
    (ended,) = site.take(5, row(3, "I3", 1, 1), row(4, "I4", 1, 1))
    assert (ended.id, ended.state, ended.count) == (opened.id, "resolved", "0")
    assert {a.facts["item"] for a in site.book.open.values()} == {"I9", "I1"}


# -- a worker's start


def test_what_was_told_and_still_holds_is_not_told_again() -> None:
    site = Site()
    told = site.take(1, row(7, "RIM", 1, -1))
    assert site.reconcile(told, told, 1) == []
    assert [e.state for e in site.take(2, row(7, "RIM", 1, 1))] == ["resolved"]


def test_what_no_longer_holds_is_ended_wherever_it_is_told() -> None:
    site = Site()
    (told,) = site.take(1, row(7, "RIM", 1, -1))
    site.take(2, row(7, "RIM", 1, 1))
    for published, served in (([told], [told]), ([told], []), ([], [told])):
        assert said(site.reconcile(published, served, 1)) == [(f"{NEGATIVE}/1", "resolved")]


def test_what_opened_since_is_told_and_what_only_redis_was_told_too() -> None:
    site = Site()
    (told,) = site.take(1, row(7, "RIM", 1, -1))
    for published, served in (([], []), ([], [told]), ([told], [])):
        assert said(site.reconcile(published, served, 0)) == [(f"{NEGATIVE}/1", "open")]


@pytest.mark.parametrize(("last", "state"), [(-2, "updated"), (1, "resolved")])
def test_what_came_since_is_told_by_the_id_it_had_before_compaction(last: int, state: str) -> None:
    site = Site()
    (opened,) = site.take(5, row(7, "RIM", 1, -1))
    missed = site.take(9, row(7, "RIM", 1, last))
    told = {f"{NEGATIVE}/{EPOCH}.2": replace(opened, id=f"{NEGATIVE}/{EPOCH}.2", since="1970-01-01T00:00:02.000Z")}
    (again,) = reconcile(site.book, missed, Before(told, told, 6), Cut(9, Position(9), 9_000))
    assert (said([again]), again.since) == ([(f"{NEGATIVE}/2", state)], "1970-01-01T00:00:02.000Z")
    assert said(site.book.open.values()) == ([(f"{NEGATIVE}/2", "updated")] if state == "updated" else [])


def test_one_that_ended_and_opened_again_is_another() -> None:
    site = Site()
    (told,) = site.take(1, row(7, "RIM", 1, -1))
    site.take(2, row(7, "RIM", 1, 1))
    site.take(3, row(7, "RIM", 1, -1))
    assert said(site.reconcile([told], [told], 1)) == [(f"{NEGATIVE}/1", "resolved"), (f"{NEGATIVE}/3", "open")]


def test_an_episode_whose_beginning_compaction_took_goes_on_as_it_was_told() -> None:
    before = Site()
    (told,) = before.take(1, row(7, "RIM", 1, -1))
    (later,) = before.take(5, row(7, "RIM", 1, -2))
    site = Site()
    site.take(4, row(7, "RIM", 1, -1))
    site.take(5, row(7, "RIM", 1, -2))
    assert site.reconcile([later], [later], 5) == []
    assert [(a.id, a.since, a.facts["available"]) for a in site.book.open.values()] == [(told.id, told.since, "-2")]
    assert said(site.take(6, row(7, "RIM", 1, 1))) == [(f"{NEGATIVE}/1", "resolved")]


def test_what_flickers_where_compaction_took_records_changes_nothing_told() -> None:
    (told,) = Site().take(1, row(7, "RIM", 1, -1))
    site = Site()
    for offset, on_hand in ((2, -1), (3, 1), (4, -1)):
        site.take(offset, row(7, "RIM", 1, on_hand))
    assert site.reconcile([told], [told], 4) == []


def test_an_alert_of_another_version_is_ended() -> None:
    site = Site()
    site.take(1, row(7, "RIM", 1, -1))
    old = {"id": NEGATIVE, "kind": "negative_available", "state": "open", "item": "RIM", "warehouse": "WH",
           "available": "-1", "since": "x", "position": "0/1"}  # fmt: skip
    assert said(site.reconcile([Alert.from_dict(old)], [], 1)) == [(NEGATIVE, "resolved"), (f"{NEGATIVE}/1", "open")]


def test_a_new_rule_that_held_of_many_things_is_one_alert(tmp_path: Any) -> None:
    def begun() -> Site:
        site = Site(tmp_path, MANY)
        for n in range(1, 6):
            site.take(n, row(n, f"I{n}", 1, -1))
        return site

    (total,) = begun().reconcile([], [], told=4)[:1]
    assert (total.id, total.count, total.since) == (f"low/I5/WH/{EPOCH}.5", "1", "1970-01-01T00:00:05.000Z")
    site = begun()
    (total,) = site.reconcile([], [], told=5)
    assert (total.id, total.count, total.since) == (f"low/*/{EPOCH}.1", "5", "1970-01-01T00:00:01.000Z")
    again = begun()
    assert again.reconcile([total], [total], told=5) == [], "and it is the same one at every start"
    (updated,) = again.take(6, row(1, "I1", 1, 1))
    assert (updated.id, updated.count) == (total.id, "4")


def test_a_sum_goes_on_where_compaction_took_the_cut_that_opened_it(tmp_path: Any) -> None:
    (total,) = Site(tmp_path, MANY).take(1, *items(-1, -1, -1, -1))
    site = Site(tmp_path, MANY)
    for n in (2, 3, 4, 5):
        site.take(n, row(n - 1, f"I{n - 1}", 1, -1))
    assert site.reconcile([total], [total], told=5) == []
    assert {ident: a.count for ident, a in site.book.open.items()} == {total.id: "4"}


@pytest.mark.parametrize("told", [-1, 9])
def test_one_told_by_name_leaves_a_sum_that_a_compacted_log_makes_of_it(tmp_path: Any, told: int) -> None:
    (one,) = Site(tmp_path, MANY).take(1, *items(-1))
    site = Site(tmp_path, MANY)
    site.take(2, *items(-1, -1, -1, -1))
    events = site.reconcile([one], [one], told)
    assert [(a.id, a.count) for a in events] == [(f"low/*/{EPOCH}.2", "3")]
    assert one.id in site.book.open
