"""Playing the story while its effect in Redis is followed: as a live table in a terminal, or as a line per step."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from infra.demo.board import AlertEvent, Board, alert_text, quantile
from infra.demo.feed import Feed
from infra.demo.story import Step
from infra.demo.table import draw, save_svg
from pipeline.domain.errors import NotReadyError
from pipeline.domain.times import milliseconds

PACE_SECONDS = 1.0
"""A person's time to look, between two steps of the live table."""
CATCH_UP_SECONDS = 30
_LOOK_MS = 100
_SWITCH_SECONDS = 0.0005
"""The ERP runs in this process: at Python's default of 5 ms the reader's wait for its turn would look like latency."""
_SHOWN = 3


class Telling:
    """Plays `steps` one after the other; a thread of its own keeps the board as Redis has it."""

    def __init__(self, feed: Feed, steps: Sequence[Step], check: Callable[[], None]) -> None:
        self.board, self._feed, self._steps, self._check = Board(), feed, steps, check
        self._lock, self._end = threading.Lock(), threading.Event()
        self._failure: Exception | None = None
        self._answers: list[str] = []
        self._ended_ms: list[float] = []
        self._told = self._alerts_told = 0
        self._frame: RenderableType | None = None
        self.board.take(feed.snapshot(), feed.meta, feed.alerts)
        self._thread = threading.Thread(target=self._follow, name="follow-redis")

    def __enter__(self) -> Self:
        self._switch_seconds = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        sys.setswitchinterval(self._switch_seconds)

    def live(self, console: Console) -> None:
        """With the table, at a pace to watch."""
        with Live(get_renderable=lambda: self.picture(console.height), console=console, refresh_per_second=8):
            for step in self._steps:
                self._play(step)
                time.sleep(PACE_SECONDS)
            self._catch_up()

    def plain(self, console: Console) -> None:
        """At full speed; a step's line appears once readers see all of it."""
        for step in self._steps:
            self._play(step)
            self._tell(console)
        self._catch_up()
        self._tell(console)

    def picture(self, height: int = 0) -> RenderableType:
        """The live table as it is now."""
        with self._lock:
            return draw(self.board, time.time() * 1000, len(self._steps), height)

    def save(self, file: Path) -> None:
        """The live table as it was when the most alerts were open, as an SVG; without any, as it is now."""
        save_svg(self._frame or self.picture(), file)

    def summary(self) -> str:
        """How fast it went and what was alarming, in words."""
        half, most = self.board.milliseconds(0.5), self.board.milliseconds(0.95)
        speed = f"commit to readable {half:.0f} ms p50, {most:.0f} ms p95" if half and most else "no change was served"
        raised = sum(not event.resolved for event in self.board.events)
        return f"{speed}, {raised} alerts raised, {len(self.board.alerts)} still open"

    def _play(self, step: Step) -> None:
        with self._lock:
            self.board.begin(step.says, time.time() * 1000)
        self._answers.append(step.run())
        self._ended_ms.append(time.time() * 1000)
        self._check()
        if self._failure:
            raise self._failure

    def _catch_up(self) -> None:
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while self._complete_ms() < self._ended_ms[-1]:
            self._check()
            if self._failure:
                raise self._failure
            if time.monotonic() > deadline:
                what = f"served stock did not catch up with the ERP within {CATCH_UP_SECONDS} s"
                raise NotReadyError(what, "read the worker's and Connect's logs")
            time.sleep(_LOOK_MS / 1000)

    def _complete_ms(self) -> int:
        return milliseconds(self.board.meta["as_of"])

    def _follow(self) -> None:
        try:
            while not self._end.is_set():
                changes = self._feed.follow(_LOOK_MS)
                alerts_before = self.board.most_alerts
                with self._lock:
                    self.board.take(changes, self._feed.meta, self._feed.alerts)
                if self.board.most_alerts > alerts_before:
                    self._frame = self.picture()
        except Exception as error:  # noqa: BLE001 - raised again by whoever plays
            self._failure = error

    def _tell(self, console: Console) -> None:
        """The lines of the steps that readers see all of, each once; alerts as they come and go."""
        with self._lock:
            complete = self._complete_ms()
            while self._told < len(self._ended_ms) and self._ended_ms[self._told] <= complete:
                console.print(self._line(self._told), soft_wrap=True)
                self._tell_alerts(console)
                self._told += 1

    def _tell_alerts(self, console: Console) -> None:
        while self._alerts_told < len(self.board.events) and self.board.events[self._alerts_told].step <= self._told:
            event = self.board.events[self._alerts_told]
            style = "green" if event.resolved else "bold red"
            console.print(_alert_line(event), style=style, soft_wrap=True)
            self._alerts_told += 1

    def _line(self, number: int) -> str:
        touched = self.board.touched[number]
        shown = [f"{item} {place} {_amounts(fields)}" for (item, place), fields in list(touched.items())[:_SHOWN]]
        more = [f"+{len(touched) - _SHOWN} more"] if len(touched) > _SHOWN else []
        took = quantile(self.board.latencies[number], 0.5)
        speed = f" [{took:.0f} ms]" if took is not None else ""
        says = f"{number + 1:3}/{len(self._steps)} {self._steps[number].says} ({self._answers[number]})"
        return f"{says}: {', '.join(shown + more) or 'no stock changed'}{speed}"


def _amounts(fields: dict[str, str]) -> str:
    reserved = fields.get("reserved", "0")
    return fields["on_hand"] + (f" ({reserved} reserved)" if float(reserved) else "")


def _alert_line(event: AlertEvent) -> str:
    alert = event.alert
    what = alert_text(alert)
    return f"        alert resolved: {what}" if event.resolved else f"        ALERT: {what}, since {alert['since']}"
