"""What the watchdog looks at: Kafka Connect, the ERP's server, the log, the ERP's catalog. Never writes to the ERP."""

import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import structlog

from pipeline import telemetry
from pipeline.adapters import erp_server, kafka, sources
from pipeline.adapters.connect import Connect
from pipeline.applied import Applied
from pipeline.domain import health
from pipeline.domain.errors import RefusedError
from pipeline.domain.health import Capture, Finding, Restarts, Server
from pipeline.settings import Kafka, Settings, Source
from streams.fold import StockFold
from streams.ledger import Ledger
from streams.publish import Publisher
from streams.watch import Watch

SILENT_S = 15.0
"""Without a heartbeat, of which one comes every second, this long: something stands still."""
DEAD_S = 60.0
"""So long, and Connect still says RUNNING: its task is started again."""
THOROUGH_S = 60.0
STREAM = 10
"""So many records more at a look are changes, or heartbeats with their transactions."""
ERP_S, LOG_S, CONNECT_S, SCHEMA_S = 5.0, 5.0, 3.0, 30.0
Drift = Callable[[Source, Applied], list[str]]
log = structlog.get_logger("onhand.worker")


class Seen(NamedTuple):
    """How far the worker is: offset folded; whether that is the log's end as of its start; highest position seen.

    `cut`: the offset of the last consistent cut, -1 before the first.
    """

    folded: int
    live: bool
    position: int
    cut: int = -1


def seen(ledger: Ledger, fold: StockFold) -> Seen:
    """As of now; safe from any thread."""
    live = ledger.replay_until is not None and ledger.folded + 1 >= ledger.replay_until and fold.place is not None
    place = fold.place
    return Seen(ledger.folded, live, fold.visibility.served.order, place.offset if place else -1)


class Erp:
    """Looks at the ERP's server and our slot; what can be seen for a moment only is remembered, and noted."""

    def __init__(self, broker: Kafka, source: Source, applied: Applied, seen: Callable[[], Seen]) -> None:
        self._broker, self._source, self._applied, self._seen = broker, source, applied, seen
        self._lost: dict[str, Finding] | None = None
        self._candidate: tuple[int, int] | None = None
        self.server: Server | None = None
        self.lost = self.waits = False

    def __call__(self) -> Iterator[Finding]:
        """Findings of one look. Raises NotReadyError."""
        if self._lost is None:  # not in the constructor: that runs in the event loop
            noted = sources.load_lost(self._broker, self._source.name, self._applied.epoch)
            self._lost = {f.kind: f for f in noted}
        self.server = None
        seen = self._seen()
        served = seen.position if seen.live else 0
        server = self.server = erp_server.look(self._source)
        self._measure(server)
        found = list(health.of_server(server, self._applied.server, self._source.name, served))
        if self._is_ahead(server):
            found.append(health.of_ahead(self._source.name))
        self._remember(self._lost, [f for f in found if f.kind in {"erp_went_back", "slot_ahead"}])
        found = list({f.kind: f for f in [*found, *self._lost.values()]}.values())
        self.lost, self.waits = any(f.lost for f in found), any(f.kind == "slot_waits" for f in found)
        yield from found

    def _is_ahead(self, server: Server) -> bool:
        """Was more confirmed than the log has? Asked of a log read up to where it was when we saw the slot."""
        seen, confirmed = self._seen(), (server.slot and server.slot.confirmed) or 0
        if not seen.live:
            return False
        before, self._candidate = self._candidate, None
        if before is not None and seen.folded + 1 < before[1]:
            self._candidate = before
        elif before is not None and before[0] > seen.position:
            return True
        elif confirmed > seen.position:
            self._candidate = confirmed, kafka.end_offset(self._broker, self._source.log_topic)
        return False

    def _remember(self, lost: dict[str, Finding], found: list[Finding]) -> None:
        new = {f.kind: f for f in found if f.kind not in lost}
        lost |= new
        if new:
            sources.note_lost(self._broker, self._source.name, self._applied.epoch, list(lost.values()))

    def _measure(self, server: Server) -> None:
        slot, name = server.slot, self._source.name
        state = (
            ""
            if not server.has_slots
            else "missing"
            if slot is None
            else "waiting"
            if slot.confirmed is None
            else slot.status
        )
        for each in health.SLOT_STATES:
            telemetry.SLOT_STATE.labels(name, each).set(each == state)
        telemetry.SLOT_RETAINED.labels(name).set(slot.retained if slot else 0)
        telemetry.SLOT_REMAINING.labels(name).set(math.inf if slot is None or slot.left is None else max(0, slot.left))
        telemetry.SOURCE_LOG_KEPT.labels(name).set(server.kept_s)


class Schema:
    """Looks at the ERP's catalog: `drift` says in sentences what is not as it was applied."""

    def __init__(self, source: Source, applied: Applied, drift: Drift) -> None:
        self._source, self._applied, self._drift = source, applied, drift

    def __call__(self) -> Iterator[Finding]:
        """Findings of one look. Raises NotReadyError."""
        found = self._drift(self._source, self._applied)
        telemetry.CATALOG_DRIFT.labels(self._source.name).set(len(found))
        yield from health.of_drift(found, self._source.name)


class Log:
    """Looks at the log: is it there, is it ours and as it must be, does a heartbeat come."""

    def __init__(self, broker: Kafka, source: Source, applied: Applied, seen: Callable[[], Seen]) -> None:
        self._broker, self._source, self._applied, self._seen = broker, source, applied, seen
        self._end, self._cut, self._moved, self._thorough = -1, -1, time.monotonic(), 0.0
        self._settings: list[Finding] = []

    @property
    def silent_s(self) -> float:
        """Seconds since a cut was found in the log, or rows streamed into it."""
        return time.monotonic() - self._moved

    def __call__(self) -> Iterator[Finding]:
        """Findings of one look. Raises NotReadyError."""
        seen = self._seen()
        end = kafka.end_offset(self._broker, self._source.log_topic)
        # a connector that starts again and again leaves a notice each time, and captures nothing
        if end - self._end >= STREAM or seen.cut != self._cut:
            self._moved = time.monotonic()
        shorter, self._end, self._cut = end <= seen.folded, end, seen.cut
        if shorter or time.monotonic() > self._thorough + THOROUGH_S:
            self._settings, self._thorough = (
                list(sources.of_log(self._broker, self._source, self._applied)),
                time.monotonic(),
            )
            self._measure()
        yield from self._settings
        yield from health.of_silence(self.silent_s, SILENT_S, self._source.name)

    def _measure(self) -> None:
        name, disk = self._source.name, kafka.disk(self._broker, self._source.log_topic)
        if disk is not None:
            telemetry.LOG_SIZE.labels(name).set(disk.topic)
            telemetry.LOG_DISK.labels(name).set(disk.total)
            telemetry.LOG_DISK_FREE.labels(name).set(disk.free)


class Capturing:
    """Looks at the connector, and starts again what failed, or what says that it runs while no heartbeat comes."""

    def __init__(self, broker: Kafka, source: Source, erp: Erp, log_: Log) -> None:
        self._connect, self._source, self._erp, self._log = Connect(broker), source, erp, log_
        self._failed, self._dead = Restarts(), Restarts(DEAD_S, 10 * DEAD_S)

    def __call__(self) -> Iterator[Finding]:
        """Findings of one look. Raises NotReadyError, RefusedError."""
        state = self._connect.state(self._source.connector)
        capture = Capture(state.connector, state.task, state.reason) if state else None
        self._measure(capture)
        found = list(health.of_capture(capture, self._source.connector, self._source.name))
        yield from found
        if any(f.kind == "connector_failed" for f in found):
            self._restart(self._failed, only_failed=True)
        elif not found and self._log.silent_s > DEAD_S:
            self._restart(self._dead, only_failed=False)

    def _restart(self, restarts: Restarts, *, only_failed: bool) -> None:
        """Not where changes are lost, and not where it would begin the wait for a slot, or for the database, anew."""
        waits = self._erp.server is None or self._erp.waits
        if self._erp.lost or (waits and not only_failed):
            return
        if restarts.due(time.monotonic()):
            log.warning("starting the connector again", connector=self._source.connector)
            telemetry.RESTARTS.labels(self._source.name).inc()
            self._connect.restart(self._source.connector, only_failed=only_failed)

    def _measure(self, capture: Capture | None) -> None:
        state = "missing" if capture is None else health.capture_state(capture)
        for each in health.CAPTURE_STATES:
            telemetry.CONNECTOR_STATE.labels(self._source.name, each).set(each == state)


def watch(
    settings: Settings,
    source: Source,
    applied: Applied,
    publisher: Publisher,
    fatal: Callable[[BaseException], None],
    *,
    drift: Drift | None = None,
) -> Callable[[], Awaitable[None]]:
    """Begin to look at all parts of a source. What is returned says what was found: to be called every second."""

    def how_far() -> Seen:
        return seen(publisher.ledger, publisher.fold)

    erp, log_ = Erp(settings.kafka, source, applied, how_far), Log(settings.kafka, source, applied, how_far)
    watchdog = Watch(source.name, publisher.doubt)
    watchdog.look_at("erp", ERP_S, erp)
    watchdog.look_at("kafka", LOG_S, log_)
    watchdog.look_at("connect", CONNECT_S, Capturing(settings.kafka, source, erp, log_))
    if drift is not None:
        watchdog.look_at("schema", SCHEMA_S, Schema(source, applied, drift))

    async def tick() -> None:
        telemetry.HEARTBEAT.labels(source.name).set(time.time() - log_.silent_s)
        if changed := [f for f in watchdog.findings() if f.kind == "log_changed"]:
            fatal(RefusedError(changed[0].what, changed[0].fix))  # its rows may not be mixed with those remembered
        await watchdog.tick()

    return tick
