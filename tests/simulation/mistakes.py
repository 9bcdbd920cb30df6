"""Mistakes that somebody could make in the worker. The simulation must find each: else it would prove nothing."""

from collections.abc import Callable
from typing import Any

import pytest

import pipeline.adapters.redis as projection
import streams.publish as publishing
from pipeline.adapters.redis import Gap, Projection
from pipeline.domain.alerts import AlertBook
from pipeline.domain.change import RowChange, SnapshotRow, Truncated
from pipeline.domain.levels import StockLevels
from pipeline.domain.visibility import Visibility
from pipeline.query import Engine
from streams.fold import StockFold
from streams.publish import Publisher
from tests.simulation import process

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def commit_before_publish(patch: Patch) -> None:
    send = Publisher._send

    async def early(self: Any, place: Any, cuts: Any) -> None:
        self.ledger.metadata = f"{self._v(place)} {place.position}"
        self.ledger.published = place.offset + 1
        await send(self, place, cuts)

    patch.setattr(Publisher, "_send", early)


def _library(patch: Patch, old: str, new: str) -> None:
    text = projection._library()
    assert old in text
    patch.setattr(projection, "_library", lambda: text.replace(old, new))


def an_emptied_redis_goes_unseen(patch: Patch) -> None:
    _library(patch, "if cut.prev and held ~= cut.prev and held ~= cut.v then return {'gap', 0} end", "")


def an_older_cut_is_written(patch: Patch) -> None:
    _library(patch, "if held > cut.v then return {'newer', 0} end", "")


def an_older_document_is_written(patch: Patch) -> None:
    _library(patch, "if held and held > v then return false end", "")
    _library(patch, "if held > cut.v then return {'newer', 0} end", "")


def a_field_that_ended_stays(patch: Patch) -> None:
    _library(patch, "redis.call('DEL', key)", "")


def a_gap_is_swallowed(patch: Patch) -> None:
    settled = Publisher.settled

    async def careless(self: Any) -> None:
        sending = self._sending
        if sending is not None:
            try:
                await sending
            except Gap:
                self._sending = None
        await settled(self)

    patch.setattr(Publisher, "settled", careless)


def what_is_half_done_is_built_on(patch: Patch) -> None:
    patch.setattr(publishing, "HALF_DONE", ())


def more_is_taken_as_served_than_was(patch: Patch) -> None:
    usable = Publisher._usable_offset
    patch.setattr(Publisher, "_usable_offset", lambda self: usable(self) + 9 if usable(self) >= 0 else -1)


def a_sweep_is_not_noted(patch: Patch) -> None:
    async def forgotten(self: Any, tables: Any) -> None:
        """Says nothing."""

    patch.setattr(process.Notes, "sweep", forgotten)


def quarantine_is_for_ever(patch: Patch) -> None:
    patch.setattr(StockFold, "_forget_quarantined", lambda self, table, below: None)


def every_end_is_shown(patch: Patch) -> None:
    end = Visibility.end
    patch.setattr(Visibility, "end", lambda self, e: end(self, e) or True)


def an_end_shown_before_is_shown_again(patch: Patch) -> None:
    end = Visibility.end
    patch.setattr(Visibility, "end", lambda self, e: e.position == self.served or end(self, e))


def _without(patch: Patch, skipped: Callable[[Any], bool]) -> None:
    init = StockFold.__init__

    def deaf(self: Any, *args: Any) -> None:
        init(self, *args)
        read = self._read
        self._read = lambda key, value: _Nothing if skipped(change := read(key, value)) else change

    patch.setattr(StockFold, "__init__", deaf)


_Nothing = object()


def a_delete_is_lost(patch: Patch) -> None:
    _without(patch, lambda change: type(change) is RowChange and change.row is None)


def a_truncate_is_lost(patch: Patch) -> None:
    _without(patch, lambda change: type(change) is Truncated)


def a_snapshot_leaves_ghosts(patch: Patch) -> None:
    begins = Visibility.snapshot_row

    def forgetful(self: Any, row: SnapshotRow) -> bool:
        found = begins(self, row)
        for table, seen in (self._snapshot or {}).items():
            for pk in table.pks():
                seen.add(pk)
        return found

    patch.setattr(Visibility, "snapshot_row", forgetful)


def the_day_never_turns(patch: Patch) -> None:
    turn = Engine.set_today
    patch.setattr(Engine, "set_today", lambda self, day: None if day > "2026-11-22" else turn(self, day))


def a_renamed_level_keeps_its_old_key(patch: Patch) -> None:
    patch.setattr(StockLevels, "_renamed", lambda self: [])


def alerts_are_forgotten_at_a_restart(patch: Patch) -> None:
    patch.setattr(AlertBook, "reconcile", lambda self, published, served: [])


def an_alert_is_told_to_redis_only(patch: Patch) -> None:
    tell = process.Alerts.tell

    async def some(self: Any, events: Any) -> None:
        await tell(self, events[1:])

    patch.setattr(process.Alerts, "tell", some)


def a_rebuild_leaves_what_stood_there(patch: Patch) -> None:
    async def none(self: Any, live: set[str]) -> list[str]:
        return []

    patch.setattr(Projection, "_others", none)


MISTAKES: list[Plant] = [
    commit_before_publish,
    an_emptied_redis_goes_unseen,
    an_older_cut_is_written,
    an_older_document_is_written,
    a_field_that_ended_stays,
    a_gap_is_swallowed,
    what_is_half_done_is_built_on,
    more_is_taken_as_served_than_was,
    a_sweep_is_not_noted,
    quarantine_is_for_ever,
    every_end_is_shown,
    an_end_shown_before_is_shown_again,
    a_delete_is_lost,
    a_truncate_is_lost,
    a_snapshot_leaves_ghosts,
    the_day_never_turns,
    a_renamed_level_keeps_its_old_key,
    alerts_are_forgotten_at_a_restart,
    an_alert_is_told_to_redis_only,
    a_rebuild_leaves_what_stood_there,
]
