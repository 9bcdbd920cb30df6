"""A mapping that reads more than the log's rows have: they are read again beside the stream, then it is applied.

Until then the source stays applied as it was, and its worker serves the old numbers. Every step can be repeated: an
`apply` that was stopped is taken up by the next one.
"""

import math
import time
from collections.abc import Callable, Mapping

import msgspec

from pipeline.adapters import erp, erp_preflight, kafka, signals, sources
from pipeline.adapters.connect import Connect
from pipeline.applied import Applied, Pending
from pipeline.cli.common import say
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import RefusedError
from pipeline.query import compile_source
from pipeline.query.drift import differences
from pipeline.settings import Settings, Source

Captured = Mapping[str, tuple[str, ...]]
_LOOK_S, _TELL_S = 0.5, 10.0
_QUIET_S = 20.0
"""This long without a notice, the connector is asked whether it has anything to read."""


def lacking(before: Applied, catalog: Catalog, captured: Captured) -> dict[str, list[str]]:
    """Table -> what the log's rows of it lack: columns that were not captured, or were of another kind."""
    known = captured_by(before)
    both = {t: tuple(c for c in columns if c in known[t]) for t, columns in captured.items() if t in known}
    found = {t: [c for c in columns if c not in known.get(t, ())] for t, columns in captured.items()}
    for difference in differences(before.schema, catalog, both):
        found[difference.table] += [difference.what] if difference.stale else []
    return {table: lacks for table, lacks in found.items() if lacks}


def captured_by(record: Applied) -> Captured:
    """The columns that an applied source reads, by table."""
    return compile_source(record.mapping_texts, record.schema, record.params).captured


def for_both(before: Applied, catalog: Catalog, captured: Captured) -> Captured:
    """What the mapping before and the new one read, as far as the ERP has it: both are served from one log."""
    wanted = {t: {*captured.get(t, ()), *columns} for t, columns in captured_by(before).items() if t in catalog.tables}
    wanted |= {t: {*columns} for t, columns in captured.items() if t not in wanted}
    return {t: tuple(c for c in catalog.tables[t].columns if c in columns) for t, columns in wanted.items()}


class Reread:
    """The rows of `tables` read again for a source that is to be applied as `record`."""

    def __init__(self, settings: Settings, source: Source, record: Applied, tables: list[str]) -> None:
        self._settings, self._source = settings, source
        self._connect = Connect(settings.kafka)
        self._record, self._tables = record, tables

    def done(self, connector: Mapping[str, str], running: Callable[[], None]) -> Applied:
        """Capture by `connector` for both mappings, read the rows again, wait; the record to apply.

        `running` waits until the connector runs. RefusedError when a table cannot be read.
        """
        found = sources.find_pending(self._settings.kafka, self._source.name)
        pending = found if found is not None and self._is_this(found) else None
        if pending is None:
            self._connect.stop(self._source.connector)  # else the task before it may be taken for the new one
        self._connect.apply(self._source.connector, connector)
        self._connect.resume(self._source.connector)
        running()
        self._catch_up()
        pending = pending or self._begin()
        self._wait(pending)
        return pending.applied

    def _is_this(self, pending: Pending) -> bool:
        """Whether it waits for the same; another mapping, or a schema that moved on, begins anew."""
        asked = msgspec.structs.replace(pending.applied, since=self._record.since)
        return asked.says_the_same(self._record) and set(self._tables) <= set(pending.tables)

    def _begin(self) -> Pending:
        """From here on every row of the log has what the new mapping reads."""
        since = kafka.end_offset(self._settings.kafka, self._source.log_topic)
        record = msgspec.structs.replace(
            self._record, since={**self._record.since, **dict.fromkeys(self._tables, since)}
        )
        pending = Pending(record, self._tables, f"{self._source.topic_prefix}.{since}")
        sources.store_pending(self._settings.kafka, self._source.name, pending)
        return pending

    def _catch_up(self) -> None:
        """What was changed under the publication as it was before must have come: it has other columns."""
        position = erp.mark(self._source, "apply")
        while erp_preflight.captured_up_to(self._source) < position:
            self._pause()

    def _wait(self, pending: Pending) -> None:
        begun = min(pending.applied.since[t] for t in pending.tables)
        notices = signals.Notices(self._settings.kafka, self._source, pending.ident, begun)
        notices.look()
        asked, told = -math.inf, time.monotonic()
        while not notices.ended:
            if self._is_quiet(max(asked, notices.heard_at)):
                self._ask(pending)
                asked = time.monotonic()
            if time.monotonic() - told > _TELL_S:
                say(f"reading {', '.join(pending.tables)} again; until then the old numbers are served")
                told = time.monotonic()
            self._pause()
            notices.look()
        self._check(pending, notices)

    def _is_quiet(self, last: float) -> bool:
        """Nothing was asked or heard for long, and the connector has nothing to read."""
        return time.monotonic() - last > _QUIET_S and not signals.is_reading(self._settings.kafka, self._source)

    def _pause(self) -> None:
        state = self._connect.state(self._source.connector)
        if state is not None and state.failed:
            fix = f"mend that, then onhand apply {self._source.name}: it goes on from here"
            raise RefusedError(f"connector {self._source.connector} failed: {state.reason}", fix)
        time.sleep(_LOOK_S)

    def _ask(self, pending: Pending) -> None:
        signals.read_again(self._settings.kafka, self._source, dict.fromkeys(pending.tables), pending.ident)

    def _check(self, pending: Pending, notices: signals.Notices) -> None:
        unread = [t for t in pending.tables if notices.tables.get(t) not in ("SUCCEEDED", "EMPTY")]
        if notices.ended == "COMPLETED" and not unread:
            return
        sources.store_pending(self._settings.kafka, self._source.name, None)  # the next apply begins anew
        said = ", ".join(f"{t} ({notices.tables.get(t, notices.ended)})" for t in unread or pending.tables)
        what = f"source {self._source.name}: Debezium could not read again {said}; the mapping before stays applied"
        raise RefusedError(what, f"see Kafka Connect's own log, then onhand apply {self._source.name}")
