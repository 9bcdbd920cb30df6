from itertools import pairwise

import pytest

from pipeline.domain import health
from pipeline.domain.health import KINDS, Capture, Finding, Restarts, Server, Slot

SLOT = Slot("onhand_erp", active=True, status="reserved", retained=1000, left=None, confirmed=500)
WELL = Server("7/1", 600, standby=False, oldest_s=None, slot=SLOT)


def of(server: Server, served: int = 500) -> list[Finding]:
    return list(health.of_server(server, "7/1", "erp", served))


def slot(**changes: object) -> Server:
    return WELL._replace(slot=SLOT._replace(**changes))


def test_nothing_is_found_of_what_is_well() -> None:
    assert of(WELL) == []
    assert of(WELL._replace(identity="")) == []  # the role may not ask
    assert list(health.of_server(WELL, "", "erp")) == []  # it was not asked when it was applied
    assert list(health.of_capture(Capture("RUNNING", "RUNNING", ""), "onhand-erp", "erp")) == []
    assert list(health.of_silence(15.0, 15.0, "erp")) == []


@pytest.mark.parametrize(
    ("server", "served", "kind", "effect", "lost"),
    [
        (WELL._replace(standby=True), 500, "erp_standby", "stale", False),
        (WELL._replace(identity="7/2"), 500, "erp_changed", "degraded", True),
        (WELL, 601, "erp_went_back", "degraded", True),
        (slot(confirmed=601), 500, "erp_went_back", "degraded", True),
        (WELL._replace(slot=None), 500, "slot_missing", "stale", True),
        (slot(status="lost", active=False), 500, "slot_lost", "stale", True),
        (slot(confirmed=None), 500, "slot_waits", "", False),
        (slot(status="extended"), 500, "slot_extended", "", False),
        (slot(status="unreserved", left=-5), 500, "slot_unreserved", "", False),
        (slot(active=False), 500, "slot_inactive", "", False),
    ],
)
def test_what_is_found_of_the_server(server: Server, served: int, kind: str, effect: str, *, lost: bool) -> None:
    (found,) = of(server, served)
    assert (found.kind, found.effect, found.lost) == (kind, effect, lost)
    assert found.kind in KINDS
    assert found.fix.startswith("onhand apply --snapshot erp") is lost


def test_a_slot_that_is_being_made_says_what_it_waits_for() -> None:
    (found,) = of(slot(confirmed=None)._replace(oldest_s=601.0))
    assert "the oldest one seen for 601 s" in found.what


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (None, "connector_missing"),
        (Capture("FAILED", "UNASSIGNED", "no"), "connector_failed"),
        (Capture("RUNNING", "FAILED", "no"), "connector_failed"),
        (Capture("PAUSED", "PAUSED", ""), "connector_paused"),
        (Capture("STOPPED", "UNASSIGNED", ""), "connector_paused"),
    ],
)
def test_what_is_found_of_the_connector(seen: Capture | None, kind: str) -> None:
    (found,) = health.of_capture(seen, "onhand-erp", "erp")
    assert (found.kind, found.effect) == (kind, "stale")
    assert kind in KINDS


def test_a_change_log_that_was_purged_takes_all_rows_read_anew() -> None:
    reason = "Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old"
    (found,) = health.of_capture(Capture("RUNNING", "FAILED", reason), "onhand-erp", "erp")
    assert found.fix.startswith("onhand apply --snapshot erp ")
    assert found.lost
    (found,) = health.of_capture(Capture("RUNNING", "FAILED", "password authentication failed"), "onhand-erp", "erp")
    assert not found.lost


def test_readers_are_told_the_worst() -> None:
    stale, degraded, nothing = (Finding("", "", "", effect) for effect in ("stale", "degraded", ""))
    assert health.effect([]) == health.effect([nothing]) == ""
    assert health.effect([nothing, stale]) == "stale"
    assert health.effect([stale, degraded, nothing]) == "degraded"


def test_what_fails_again_and_again_is_started_ever_less_often_and_for_ever() -> None:
    restarts = Restarts(first=5, longest=300)
    starts = [now for now in range(3600) if restarts.due(now)]
    assert starts[:7] == [0, 5, 15, 35, 75, 155, 315]
    assert {b - a for a, b in pairwise(starts[6:])} == {300}


def test_what_ran_for_long_is_started_at_once_when_it_fails() -> None:
    restarts = Restarts(first=5, longest=300)
    for now in range(200):
        restarts.due(now)
    assert not restarts.due(200)
    assert restarts.due(700)
    assert restarts.due(705)


def test_the_state_of_a_connector_is_the_worse_of_the_two() -> None:
    assert health.capture_state(Capture("RUNNING", "FAILED", "")) == "failed"
    assert health.capture_state(Capture("STOPPED", "UNASSIGNED", "")) == "paused"
    assert health.capture_state(Capture("RUNNING", "UNASSIGNED", "")) == "unassigned"
    assert health.capture_state(Capture("RUNNING", "RUNNING", "")) == "running"
    assert health.capture_state(Capture("RUNNING", "RESTARTING", "")) == "other"
