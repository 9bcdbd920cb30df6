"""The worker's metrics of one source, set where things happen."""

import time
from collections.abc import Callable, Sequence

import structlog

from pipeline import telemetry
from pipeline.domain.alerts import Alert
from streams.fold import StockFold

SAID_AGAIN_SECONDS = 60
log = structlog.get_logger("onhand.worker")


class Gauges:
    """The metrics of source `name`. `pending`: transactions that changed rows and are not visible yet."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name, self._now = name, now
        self.pending = 0

    def folded(self, records: int, offset: int) -> None:
        """So many records more were folded, up to an offset."""
        telemetry.RECORDS.labels(self._name).inc(records)
        telemetry.OFFSET.labels(self._name).set(offset)

    def state(self, state: str) -> None:
        """What the worker does now."""
        for each in telemetry.STATES:
            telemetry.STATE.labels(self._name, each).set(each == state)

    def published(self, fold: StockFold, time_ms: int, alerts: Sequence[Alert], written: int) -> None:
        """Readers see the cut of `time_ms`: so many documents were `written`."""
        if self.pending:
            telemetry.TRANSACTIONS.labels(self._name).inc(self.pending)
            telemetry.VISIBLE.labels(self._name).observe(max(0.0, self._now() - time_ms / 1000))
            self.pending = 0
        telemetry.PUBLISHED.labels(self._name).inc(written)
        telemetry.AS_OF.labels(self._name).set(time_ms / 1000)
        telemetry.QUARANTINED.labels(self._name).set(len(fold.quarantine))
        telemetry.ROWS.labels(self._name).set(fold.rows)
        telemetry.LEVELS.labels(self._name).set(len(fold.levels.levels))
        telemetry.NEGATIVE.labels(self._name).set(len(fold.levels.write.negative))
        for alert in alerts:
            if alert.state == "open":
                telemetry.ALERTS_RAISED.labels(self._name, alert.kind, alert.severity, alert.department).inc()
        for rule, count in fold.book.counts.items():
            telemetry.ALERTS_OPEN.labels(self._name, rule.kind, rule.severity, rule.department).set(count)


class Patience:
    """Says that source `name` waits for Redis: why, when that begins, each minute, and when it ends."""

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._name, self._now = name, now
        self._since = self._said = 0.0
        self._why = ""

    def waits(self, why: str) -> None:
        """Redis is asked once more."""
        telemetry.REDIS_RETRIES.labels(self._name).inc()
        telemetry.REDIS_WAITING.labels(self._name).set(1)
        now = self._now()
        self._since = self._since or now
        if why != self._why or now - self._said >= SAID_AGAIN_SECONDS:
            self._why, self._said = why, now
            log.warning("Redis does not take our writes: waiting, nothing is lost", source=self._name, why=why)

    def ends(self) -> None:
        """Redis has answered."""
        telemetry.REDIS_WAITING.labels(self._name).set(0)
        log.info("Redis is back", source=self._name, seconds=round(self._now() - self._since, 1))
        self._since, self._why = 0.0, ""
