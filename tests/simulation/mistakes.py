"""Mistakes that somebody could make in the worker. The simulation must find each: else it would prove nothing."""

from collections.abc import Callable
from typing import Any

import pytest

import pipeline.adapters.redis as projection
from pipeline.adapters.redis import Gap
from pipeline.domain.change import RowChange, Truncated
from pipeline.domain.visibility import Visibility
from streams.fold import StockFold
from streams.publish import Publisher

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


_NEWER = "if held > cut.v and is_whole(meta, held) then return {'newer', 0, {}} end"


def an_emptied_redis_goes_unseen(patch: Patch) -> None:
    _library(patch, "local broken = cut.prev and held ~= cut.prev and held ~= cut.v", "local broken = false")


def a_lost_chunk_goes_unseen(patch: Patch) -> None:
    _library(patch, "broken = broken or (cut.chunk > 1", "broken = broken or (false")


def an_older_cut_is_written(patch: Patch) -> None:
    _library(patch, _NEWER, "")


def an_older_document_is_written(patch: Patch) -> None:
    _library(patch, "if held and held > mine and is_version(held) then", "if false then")
    _library(patch, _NEWER, "")


def a_field_that_ended_stays(patch: Patch) -> None:
    _library(patch, "redis.call('DEL', key)  -- a field ended", "-- a field ended")


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


def more_is_taken_as_served_than_was(patch: Patch) -> None:
    usable = Publisher._usable_offset
    patch.setattr(Publisher, "_usable_offset", lambda self: usable(self) + 9 if usable(self) >= 0 else -1)


def every_end_is_shown(patch: Patch) -> None:
    end = Visibility.end
    patch.setattr(Visibility, "end", lambda self, e: end(self, e) or True)


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


MISTAKES: list[Plant] = [
    commit_before_publish,
    an_emptied_redis_goes_unseen,
    a_lost_chunk_goes_unseen,
    an_older_cut_is_written,
    an_older_document_is_written,
    a_field_that_ended_stays,
    a_gap_is_swallowed,
    more_is_taken_as_served_than_was,
    every_end_is_shown,
    a_delete_is_lost,
    a_truncate_is_lost,
]
