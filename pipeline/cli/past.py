"""The stock that a source's log tells of, now or at a moment of the past, folded in this process."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.progress import Progress

from pipeline.adapters import kafka, sources
from pipeline.adapters.debezium import LogReader
from pipeline.applied import Applied
from pipeline.domain import change as c
from pipeline.domain.documents import Document
from pipeline.domain.errors import RefusedError, UsageError
from pipeline.domain.times import iso, typed
from pipeline.settings import Settings, Source
from streams.applied_fold import new_fold
from streams.fold import Place
from streams.history import Moment, Past

TIMES = "write it as 2026-11-24T10:30, with a zone as 2026-11-24T10:30+01:00, as 10:30 (today), or as '2 hours ago'"
PositionOption = Annotated[
    str | None,
    typer.Option(
        "--position", help="Up to this position of the ERP's change log, such as 0/1A2B3C.", show_default=False
    ),
]


def moment(source: Source, at: str | None, position: str | None) -> Moment:
    """What was typed. Raises UsageError."""
    if at is not None and position is not None:
        raise UsageError("a TIME and a --position were typed", "leave one of them out")
    try:
        if position is not None:
            return Moment(position=c.Position.parse(position))
        return Moment(time_ms=None if at is None else typed(at, datetime.now(source.zone)))
    except ValueError:
        if position is not None:
            fix = "write it as status and as-of show it, such as 0/1A2B3C"
            raise UsageError(f"--position {position}: not a position", fix) from None
        raise UsageError(f"{at}: not a time", TIMES) from None


@dataclass(frozen=True)
class Found:
    """The cut that was asked for: what was applied, where the cut stands, and every level as of then."""

    applied: Applied
    place: Place
    quarantined: int
    documents: list[Document]

    @property
    def said(self) -> str:
        """What it is of, for people."""
        bad = f", degraded: {self.quarantined} rows could not be read" if self.quarantined else ""
        return f"as of {iso(self.place.time_ms)}, position {self.place.position}{bad}"


def look_back(settings: Settings, source: Source, until: Moment) -> Found:
    """Fold the log up to `until`. Raises RefusedError for a moment that the log cannot tell of."""
    applied = sources.load_applied(settings.kafka, source.name)
    past = _fold(settings, source, applied, until)
    if doubt := past.doubt(_complete_from(settings, past, applied.topics["log"])):
        raise _refused(until, *doubt)
    place = past.place
    assert place is not None  # noqa: S101  # else there was a doubt
    if place.time_ms < applied.applied_at * 1000 and past.fold.applied_at < applied.applied_at:
        since_ms = applied.applied_at * 1000
        raise _refused(until, f"its mapping was applied at {iso(since_ms)}, the one before is not kept", since_ms)
    return Found(applied, place, len(past.fold.quarantine), list(past.fold.levels.all_documents()))


def _fold(settings: Settings, source: Source, applied: Applied, until: Moment) -> Past:
    # what is wrong in the log is the worker's to tell
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    fold = new_fold(applied, source.topic_prefix, sources.load_swept(settings.kafka, applied.name, applied.epoch))
    past = Past(fold, LogReader(source.topic_prefix, fold.engine.tables), until)
    with _progress(settings, applied.topics["log"], past.take) as take:
        kafka.replay(settings.kafka, applied.topics["log"], take)
    past.finish()
    return past


@contextmanager
def _progress(settings: Settings, topic: str, take: Callable[[Any], bool]) -> Iterator[Callable[[Any], bool]]:
    """`take`, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield take
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the log", total=kafka.end_offset(settings.kafka, topic))

        def taking(record: Any) -> bool:
            if not record.offset % 1000:
                bar.update(task, completed=record.offset)
            return take(record)

        yield taking


def _complete_from(settings: Settings, past: Past, topic: str) -> int:
    """The time from which on compaction took nothing, in milliseconds."""
    if not past.has_holes:
        return 0
    found = kafka.settings_of(settings.kafka, topic) or {}
    return int(time.time() * 1000) - int(found["min.compaction.lag.ms"])


def _refused(until: Moment, why: str, possible_ms: int | None = None) -> RefusedError:
    fix = f"onhand as-of {iso(possible_ms)}" if possible_ms else "a later TIME; onhand get shows what is served now"
    return RefusedError(f"the log cannot tell the stock as of {until}: {why}", fix)
