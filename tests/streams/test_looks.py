"""When the watchdog starts a connector again, and when it says that a slot was moved: never by mistake."""

from types import SimpleNamespace

import pytest

from pipeline import telemetry
from pipeline.adapters import erp_server, kafka, sources
from pipeline.adapters.connect import State
from pipeline.applied import Applied
from pipeline.domain.health import Finding, Server, Slot
from pipeline.settings import Kafka, Source
from streams.looks import DEAD_S, Capturing, Erp, Schema, Seen

BROKER = Kafka()
SOURCE = Source(name="looks", pack="none", database="postgresql://cdc@127.0.0.1/none")
APPLIED = Applied(
    name="looks", epoch=1, applied_at=2, pack="p", dialect="postgres", digest="a", catalog={}, texts=[],
    bound={}, stock={}, time_zone="UTC", prefix="stock", topics={}, server="7/1",
)  # fmt: skip
SLOT = Slot("onhand_looks", active=True, status="reserved", retained=0, left=None, confirmed=500)
SERVER = Server("7/1", 600, standby=False, oldest_s=None, slot=SLOT)


class FakeConnect:
    def __init__(self, connector: str, task: str) -> None:
        self.said, self.restarts = State(connector, task, "why"), list[bool]()

    def state(self, _name: str) -> State:
        return self.said

    def restart(self, _name: str, *, only_failed: bool) -> None:
        self.restarts.append(only_failed)


def restarts(connector: str, task: str, *, silent_s: float = 0, lost: bool = False, **erp: object) -> list[bool]:
    seen = SimpleNamespace(**{"server": SERVER, "waits": False, "lost": lost} | erp)
    capturing = Capturing(BROKER, SOURCE, seen, SimpleNamespace(silent_s=silent_s))  # type: ignore[arg-type]
    capturing._connect = connect = FakeConnect(connector, task)  # type: ignore[assignment]
    list(capturing())
    list(capturing())
    return connect.restarts


def test_what_failed_is_started_again_and_not_at_each_look() -> None:
    assert restarts("RUNNING", "FAILED") == [True]
    assert restarts("RUNNING", "FAILED", server=None) == [True]  # the database is away for us; perhaps not for Connect


def test_what_runs_and_is_silent_is_started_again() -> None:
    assert restarts("RUNNING", "RUNNING", silent_s=DEAD_S + 1) == [False]
    assert restarts("RUNNING", "RUNNING", silent_s=DEAD_S - 1) == []


def test_what_a_new_start_cannot_help_is_left_alone() -> None:
    assert restarts("RUNNING", "FAILED", lost=True) == []
    assert restarts("RUNNING", "RUNNING", silent_s=DEAD_S + 1, waits=True) == []  # for an open transaction
    assert restarts("RUNNING", "RUNNING", silent_s=DEAD_S + 1, server=None) == []
    assert restarts("PAUSED", "PAUSED", silent_s=DEAD_S + 1) == []
    assert restarts("STOPPED", "UNASSIGNED", silent_s=DEAD_S + 1) == []


class Story:
    """What the worker has seen, the server says, and was noted; each `look` is one of the watchdog's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seen, self.server, self.end = Seen(99, live=True, position=500), SERVER, 100
        self.noted: list[Finding] = []
        patch.setattr(erp_server, "look", lambda _: self.server)
        patch.setattr(kafka, "end_offset", lambda *_: self.end)
        patch.setattr(sources, "load_lost", lambda *_: list(self.noted))
        patch.setattr(sources, "note_lost", lambda *a: self.noted.extend(a[3]))
        self.erp = Erp(BROKER, SOURCE, APPLIED, lambda: self.seen)

    def look(self) -> list[str]:
        return [f.kind for f in self.erp()]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(monkeypatch)


def test_a_schema_that_moved_is_told_and_counted() -> None:
    (found,) = Schema(SOURCE, APPLIED, lambda *_: ["table a is gone", "column b.c is gone"])()
    assert (found.what, found.effect) == ("table a is gone; column b.c is gone", "degraded")
    assert telemetry.REGISTRY.get_sample_value("onhand_catalog_drift", {"source": "looks"}) == 2
    assert list(Schema(SOURCE, APPLIED, lambda *_: [])()) == []
    assert telemetry.REGISTRY.get_sample_value("onhand_catalog_drift", {"source": "looks"}) == 0


def test_a_slot_ahead_of_the_whole_log_was_moved(story: Story) -> None:
    story.server = SERVER._replace(slot=SLOT._replace(confirmed=550))
    assert story.look() == []  # the log may have more by now
    assert story.look() == ["slot_ahead"]
    assert [f.kind for f in story.noted] == ["slot_ahead"]
    story.server, story.seen = SERVER, Seen(150, live=True, position=590)
    assert story.look() == ["slot_ahead"]  # what was skipped stays lost
    assert len(story.noted) == 1


def test_a_worker_that_lags_says_nothing(story: Story) -> None:
    story.server, story.end = SERVER._replace(slot=SLOT._replace(confirmed=550)), 200
    assert [story.look(), story.look(), story.look()] == [[], [], []]
    story.seen = Seen(199, live=True, position=550)
    assert [story.look(), story.look()] == [[], []]


def test_nothing_is_said_of_a_slot_before_the_log_is_replayed(story: Story) -> None:
    story.server, story.seen = SERVER._replace(slot=SLOT._replace(confirmed=550)), Seen(99, live=False, position=0)
    assert [story.look(), story.look()] == [[], []]


def test_what_a_worker_before_found_is_known(story: Story) -> None:
    story.server = SERVER._replace(position=499)
    assert story.look() == ["erp_went_back"]
    story.erp, story.server = Erp(BROKER, SOURCE, APPLIED, lambda: story.seen), SERVER
    assert story.look() == ["erp_went_back"]
    assert story.erp.lost
