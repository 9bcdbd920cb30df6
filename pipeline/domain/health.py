"""How the parts that a source's stock comes through do: what was seen of each, judged, with the fix as a command."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

Effect = Literal["", "stale", "degraded"]
KINDS = (
    "erp_away", "erp_standby", "erp_changed", "erp_went_back", "erp_drift",
    "slot_missing", "slot_lost", "slot_ahead", "slot_unreserved", "slot_extended", "slot_inactive", "slot_waits",
    "connect_away", "connector_missing", "connector_failed", "connector_paused", "silent",
    "kafka_away", "schema_away", "log_missing", "log_changed", "log_settings", "hangs",
)  # fmt: skip

CAPTURE_STATES = ("running", "unassigned", "paused", "failed", "missing", "other")
# MariaDB, MySQL and Debezium itself, of a change log that does not reach back to where the connector was
LOG_GONE = (
    "in any binlog files",
    "in binary log index file",
    "purged required binary logs",
    "no longer available on the server",
)
SLOT_STATES = ("reserved", "extended", "unreserved", "lost", "waiting", "missing")


class Finding(NamedTuple):
    """Something that is not as it must be, of one of KINDS.

    `effect`, what readers are told of it: nothing; stale, no change arrives; degraded, figures may be wrong. `lost`:
    only reading all rows anew mends it.
    """

    kind: str
    what: str
    fix: str
    effect: Effect = ""
    lost: bool = False


class Slot(NamedTuple):
    """Our replication slot: bytes of the server's log kept for it and, where that is limited, still left.

    `confirmed`: the position up to which everything was taken, None while the slot is being made.
    """

    name: str
    active: bool
    status: str
    retained: int
    left: int | None
    confirmed: int | None


class Server(NamedTuple):
    """The ERP's database server: which (system and timeline, "" unknown), and where its log ends.

    `kept_s`: how many seconds it keeps of its log for who has not read it; with slots, for as long as it takes.
    `oldest_s`: how long the oldest transaction has been open, in seconds, None where none is seen. `has_slots`: it
    keeps its log for who reads it; MariaDB keeps it for a time, and a connector that comes too late fails.
    """

    identity: str
    position: int
    standby: bool
    oldest_s: float | None
    slot: Slot | None
    has_slots: bool = True
    kept_s: float = math.inf


class Capture(NamedTuple):
    """The connector and its task as Connect says, or what kept it from saying."""

    connector: str
    task: str
    reason: str


def capture_state(seen: Capture) -> str:
    """In one of the words `CAPTURE_STATES`: the worse of the two."""
    states = {seen.connector.lower(), seen.task.lower()}
    if states == {"running"}:
        return "running"
    worst = next((s for s in ("failed", "stopped", "paused", "unassigned") if s in states), "other")
    return "paused" if worst == "stopped" else worst


def fix(source: str) -> str:
    """What mends lost changes."""
    return f"onhand apply --snapshot {source}   (then start the worker again)"


def effect(findings: Iterable[Finding]) -> Effect:
    """What readers are told of all of them: the worst."""
    effects = {finding.effect for finding in findings}
    return "degraded" if "degraded" in effects else "stale" if "stale" in effects else ""


def of_server(server: Server, applied: str, source: str, served: int = 0) -> Iterator[Finding]:
    """Of the ERP's server, `applied` to when its rows were read; `served`: the position readers have seen."""
    anew = fix(source)
    if server.standby:
        what = "the ERP's database is a standby, which has no changes to capture"
        yield Finding("erp_standby", what, f"name the primary in database of [sources.{source}]", "stale")
        return
    if applied and server.identity and server.identity != applied:
        what = "the ERP's database is not the server that was applied: it was failed over or set up anew"
        yield Finding("erp_changed", what, anew, "degraded", lost=True)
    if max(served, (server.slot and server.slot.confirmed) or 0) > server.position:
        what = "the ERP's database ends before what was captured of it: it was put back from a backup"
        yield Finding("erp_went_back", what, anew, "degraded", lost=True)
    if server.has_slots:
        yield from _of_slot(server, source)


def of_ahead(source: str) -> Finding:
    """The slot was moved ahead of what the log has."""
    what = "the replication slot was moved ahead of what was captured: changes are missing"
    return Finding("slot_ahead", what, fix(source), "degraded", lost=True)


def _of_slot(server: Server, source: str) -> Iterator[Finding]:
    slot, anew = server.slot, fix(source)
    if slot is None:
        what = "the replication slot is gone: changes since then are lost"
        yield Finding("slot_missing", what, anew, "stale", lost=True)
    elif slot.status == "lost":
        what = f"replication slot {slot.name} lost its WAL: changes are missing"
        yield Finding("slot_lost", what, anew, "stale", lost=True)
    elif slot.confirmed is None:
        yield Finding("slot_waits", f"replication slot {slot.name} is being made: {_oldest(server)}", "let it end")
    else:
        if slot.status in {"unreserved", "extended"}:
            yield _short(slot, source)
        if not slot.active:
            kept = f"nothing reads replication slot {slot.name}, the server keeps {slot.retained:,} bytes for it"
            yield Finding("slot_inactive", kept, f"onhand status {source}   (what keeps Kafka Connect from reading)")


def _oldest(server: Server) -> str:
    lasts = f", the oldest one seen for {server.oldest_s:.0f} s" if server.oldest_s is not None else ""
    return f"it waits for every transaction that is open in the server{lasts}"


def _short(slot: Slot, source: str) -> Finding:
    left = f", {max(0, slot.left):,} bytes are left" if slot.left is not None else ""
    what = f"replication slot {slot.name} keeps {slot.retained:,} bytes of WAL{left}"
    if slot.status == "unreserved":
        what += ": the next checkpoint may remove what was not captured"
    more = "raise max_slot_wal_keep_size, or the disk's room"
    return Finding(f"slot_{slot.status}", what, f"let capture catch up: onhand status {source}; {more}")


def of_capture(seen: Capture | None, connector: str, source: str) -> Iterator[Finding]:
    """Of the connector, None where there is none."""
    if seen is None:
        yield Finding("connector_missing", f"there is no connector {connector}", f"onhand apply {source}", "stale")
    elif "FAILED" in (seen.connector, seen.task):
        what = f"the connector failed: {seen.reason or 'see the log of Kafka Connect'}"
        if lost := any(text in seen.reason for text in LOG_GONE):
            what = f"the ERP's change log no longer has what was not captured: changes are missing; {what}"
        mend = fix(source) if lost else "mend that; the worker starts it again by itself"
        yield Finding("connector_failed", what, mend, "stale", lost=lost)
    elif seen.connector in {"PAUSED", "STOPPED"} or seen.task == "PAUSED":
        what = f"connector {connector} was {seen.connector.lower()} by somebody"
        yield Finding("connector_paused", what, f"curl -X PUT CONNECT_URL/connectors/{connector}/resume", "stale")


def of_drift(differences: Sequence[str], source: str) -> Iterator[Finding]:
    """Of the ERP's catalog, by what differs from what was applied."""
    if differences:
        yield Finding("erp_drift", "; ".join(differences), f"onhand plan {source}", "degraded")


def of_silence(age_s: float, limit_s: float, source: str) -> Iterator[Finding]:
    """Of the log, that gets a heartbeat every second, when nothing came for `age_s`."""
    if age_s > limit_s:
        what = f"nothing was captured for {age_s:.0f} s, not even a heartbeat"
        yield Finding("silent", what, f"onhand status {source}   (which part stands still)", "stale")


class Restarts:
    """When to start again what failed: at once, then ever later, and never less often than each `longest` seconds.

    What ran that long since its last start begins anew.
    """

    def __init__(self, first: float = 5.0, longest: float = 300.0) -> None:
        self._first, self._longest = first, longest
        self._delay, self._next = first, 0.0

    def due(self, now: float) -> bool:
        """It has failed: is it time to start it again? If so, that is taken to be done."""
        if now < self._next:
            return False
        if now > self._next + self._longest:
            self._delay = self._first
        self._next, self._delay = now + self._delay, min(2 * self._delay, self._longest)
        return True
