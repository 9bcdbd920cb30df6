"""The watchdog: it looks at what the log itself cannot tell, and says what it finds.

Each part is looked at in a thread of its own, so that one that hangs hides no other, and none of them holds up the
fold. What is found becomes metrics, a line of the worker's log when it comes and goes, and what readers are told.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from pipeline import telemetry
from pipeline.domain import health
from pipeline.domain.errors import OnhandError
from pipeline.domain.health import Effect, Finding

HANGS_S = 120.0
TELL_S = 0.5
log = structlog.get_logger("onhand.worker")
Look = Callable[[], Iterable[Finding]]


class Watch:
    """Findings of one source, by what is looked at. `tell` is told what readers should know; it may be told again."""

    def __init__(
        self, source: str, tell: Callable[[Effect], Awaitable[None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source, self._tell, self._clock = source, tell, clock
        self._found: dict[str, tuple[Finding, ...]] = {}
        self._begun: dict[str, float] = {}
        self._known: dict[tuple[str, str], Finding] | None = None
        self._effect: Effect = ""
        self._telling: asyncio.Future[None] | None = None

    def look_at(self, part: str, every_s: float, look: Look) -> None:
        """Look at a part every so many seconds, for ever."""
        threading.Thread(target=self._watch, args=(part, every_s, look), name=f"watch {part}", daemon=True).start()

    def _watch(self, part: str, every_s: float, look: Look) -> None:
        while True:
            self.look_once(part, look)
            time.sleep(every_s)

    def look_once(self, part: str, look: Look) -> None:
        """Look at a part now. What goes wrong in looking is told, and ends nothing."""
        self._begun[part] = self._clock()
        try:
            self._found[part] = tuple(look())
        except OnhandError as e:
            self._found[part] = (Finding(f"{part}_away", e.what, e.fix),)
        except Exception as e:  # noqa: BLE001 - served stock does not depend on the watchdog
            what = f"looking at {part} failed: {type(e).__name__}"
            self._found[part] = (Finding("hangs", what, "report it"),)
        del self._begun[part]

    def findings(self) -> list[Finding]:
        """All that is not as it must be now."""
        now, begun = self._clock(), dict(self._begun)
        hanging = [
            Finding("hangs", f"looking at {part} has not ended for {HANGS_S:.0f} s", f"onhand status {self._source}")
            for part, since in begun.items()
            if now - since > HANGS_S
        ]
        return [*(f for found in list(self._found.values()) for f in found), *hanging]

    async def tick(self) -> None:
        """Say what was found: to be called every second."""
        findings = self.findings()
        self._say(findings)
        effect = health.effect(findings)
        if self._telling is not None and self._telling.done():
            self._telling = self._telling.result()
        if self._telling is None and (effect or effect != self._effect):
            # again and again, as a cut on its way may say something else; in a task, as Redis may be away
            self._effect = effect
            self._telling = asyncio.ensure_future(self._tell(effect))
            await asyncio.wait([self._telling], timeout=TELL_S)

    def _say(self, findings: Iterable[Finding]) -> None:
        now, first, known = {(f.kind, f.fix): f for f in findings}, self._known is None, self._known or {}
        for key in now.keys() - known.keys():
            log.error(now[key].what, finding=now[key].kind, fix=now[key].fix, readers_are_told=now[key].effect)
        for key in known.keys() - now.keys():
            log.info("it is over", finding=key[0], was=known[key].what)
        if first or now.keys() != known.keys():
            kinds = {f.kind for f in now.values()}
            for kind in health.KINDS:
                telemetry.FINDING.labels(self._source, kind).set(kind in kinds)
        self._known = now
