"""Each part that a source's stock comes through, looked at once: how it does, and if not well, why and the fix."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pipeline.adapters import erp_drift, erp_server, kafka, sources
from pipeline.adapters.connect import Connect
from pipeline.adapters.served import Reader
from pipeline.applied import Applied
from pipeline.domain import health
from pipeline.domain.change import Position
from pipeline.domain.errors import OnhandError
from pipeline.domain.health import Capture, Finding, Server
from pipeline.domain.times import milliseconds
from pipeline.settings import Settings, Source

STALE_S = 60  # the heartbeat comes every second; this long without one is an outage, not a pause
FOREIGN_S = 600
_SERVING = {"live", "applying"}
T = TypeVar("T")


@dataclass
class Hop:
    """One part. `lag`: what is yet to pass it, with its unit; `age_s`: of the newest that passed."""

    hop: str
    state: str = "ok"
    lag: str | None = None
    age_s: float | None = None
    cause: str | None = None
    fix: str | None = None

    def tell(self, findings: Iterable[Finding]) -> None:
        """Its cause is all of these together, its fix the first one's, or that of changes lost."""
        for finding in sorted(findings, key=lambda f: not f.lost):
            self.cause = f"{self.cause}; {finding.what}" if self.cause else finding.what
            self.fix = self.fix or finding.fix
            if finding.effect and self.state in {"ok", "reserved"}:
                self.state = finding.kind.partition("_")[2].replace("_", " ")


class Look:
    """All parts of one source, in the order in which a change passes them."""

    def __init__(self, settings: Settings, source: Source, reader: Reader) -> None:
        self._settings, self._source, self._reader = settings, source, reader
        self.erp, self.slot, self.connect = Hop("erp"), Hop("slot"), Hop("connect")
        self.log, self.worker, self.redis = Hop("log"), Hop("worker"), Hop("redis")
        self.capture: Capture | None = None
        self.keys: int | None = None
        self.quarantined: int | None = None
        self.alerts: int | None = None
        self.age_s: float | None = None
        self.lag: int | None = None
        self._look()

    @property
    def hops(self) -> list[Hop]:
        """From the ERP to Redis."""
        return [self.erp, self.slot, self.connect, self.log, self.worker, self.redis]

    def rows(self) -> list[dict[str, Any]]:
        """As they are printed."""
        return [{"source": self._source.name} | asdict(hop) for hop in self.hops]

    @property
    def problem(self) -> str:
        """Every cause, nearest to the ERP first; "" when stock flows."""
        return "; ".join(dict.fromkeys(hop.cause for hop in self.hops if hop.cause))

    def _look(self) -> None:
        meta = self._ask(self.redis, self._reader.meta)
        applied = self._ask(self.log, lambda: sources.find_applied(self._settings.kafka, self._source.name))
        server = self._ask(self.erp, lambda: erp_server.look(self._source))
        if server is None:
            self.slot.state = "unknown"
        else:
            self._server(server, applied, meta or {})
        self._drift(applied)
        self._complaints()
        self._capture()
        self._log(applied, meta or {})
        if meta is not None:
            self._served(meta)

    def _ask(self, hop: Hop, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except OnhandError as e:
            hop.state = "away"
            hop.tell([Finding("", e.what, e.fix)])
            return None

    def _server(self, server: Server, applied: Applied | None, meta: Mapping[str, str]) -> None:
        slot = server.slot
        self.slot.state = "missing" if slot is None else "waiting" if slot.confirmed is None else slot.status
        if not server.has_slots:
            self.slot.state = "none"
        self.slot.lag = f"{slot.retained} bytes" if slot else None
        if applied is None:  # without a slot all is as it must be
            return
        same = meta.get("epoch") == str(applied.applied_at) and "position" in meta
        served = Position.parse(meta["position"]).order if same else 0
        noted = sources.load_lost(self._settings.kafka, self._source.name, applied.epoch)
        found = {f.kind: f for f in [*health.of_server(server, applied.server, self._source.name, served), *noted]}
        for hop in (self.erp, self.slot):
            hop.tell(f for f in found.values() if f.kind.startswith(hop.hop))

    def _drift(self, applied: Applied | None) -> None:
        if applied is not None and self.erp.state != "away":
            moved = self._ask(self.erp, lambda: erp_drift.drift(self._source, applied)) or []
            self.erp.tell(health.of_drift(moved, self._source.name))

    def _complaints(self) -> None:
        """What Redis itself says of a server that does not take writes."""
        if self.redis.state != "away":
            for complaint in self._ask(self.redis, self._reader.complaints) or []:
                self.redis.tell([Finding("", complaint, "see OnhandRedisWaiting in docs/runbook.md")])

    def _capture(self) -> None:
        state = self._ask(self.connect, lambda: Connect(self._settings.kafka).state(self._source.connector))
        if self.connect.state == "away":
            return
        self.capture = Capture(state.connector, state.task, state.reason) if state else None
        self.connect.state = health.capture_state(self.capture) if self.capture else "none"
        self.connect.tell(health.of_capture(self.capture, self._source.connector, self._source.name))
        if self.capture and not self.connect.cause and self.connect.state != "running":
            self.connect.tell(
                [Finding("", f"the connector does not run: {self.capture.task}", "wait, then look again")]
            )

    def _log(self, applied: Applied | None, meta: Mapping[str, str]) -> None:
        broker, topic = self._settings.kafka, self._source.log_topic
        end = None if self.log.state == "away" else self._ask(self.log, lambda: kafka.end_offset(broker, topic))
        if applied is not None and end is not None:
            self.log.tell(self._ask(self.log, lambda: list(sources.of_log(broker, self._source, applied))) or [])
        if end is not None and meta.get("offset", "").isdigit():
            self.lag = max(0, end - int(meta["offset"]) - 1)
            self.worker.lag = f"{self.lag} records"

    def _served(self, meta: Mapping[str, str]) -> None:
        name = self._source.name
        if not meta:
            self.worker.state = self.redis.state = "none"
            self.worker.tell([Finding("", "nothing is served yet", f"onhand worker {name}")])
            return
        self.worker.state = meta.get("state", "silent")
        self.age_s = self.redis.age_s = _age(meta)
        self.keys = int(meta["keys"]) if "keys" in meta else len(self._reader.documents())
        self.quarantined, self.alerts = int(meta.get("quarantined", 0)), len(self._reader.alerts())
        before = any(hop.cause for hop in self.hops)
        if self.worker.state not in _SERVING and not before and not self.quarantined:
            self.worker.tell([Finding("", f"the worker is {self.worker.state}", f"onhand status --watch {name}")])
        if self.age_s is None or self.age_s > STALE_S:
            old = "what is served is old" if self.age_s is None else f"what is served is {self.age_s:.0f} s old"
            self.redis.tell([Finding("", old, "see above" if before else f"onhand worker {name}")])
        if self.quarantined:
            fix = f"onhand quarantine list {name}"
            self.worker.tell([Finding("", f"{self.quarantined} rows could not be read", fix)])
        self._foreign(self._reader.scrubbed())

    def _foreign(self, scrubbed: Mapping[str, str]) -> None:
        """Whether somebody else wrote into our keys, or they were lost, not long ago."""
        age = _age({"as_of": scrubbed.get("last", "")})
        if age is not None and age <= FOREIGN_S:
            mended = f"{scrubbed['mended']} mended, the last {age:.0f} s ago"
            what = f"keys in Redis were not what the worker wrote: {mended}"
            self.redis.tell([Finding("", what, "see OnhandRedisForeignKeys in docs/runbook.md")])


def _age(meta: Mapping[str, str]) -> float | None:
    """Seconds since the source time up to which the feed is complete."""
    try:
        return round(max(0.0, datetime.now(UTC).timestamp() - milliseconds(meta["as_of"]) / 1000), 1)
    except (KeyError, TypeError, ValueError):
        return None
