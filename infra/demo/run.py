"""`onhand demo`: real servers, a real ERP, onhand attached to it, and the ERP's stock followed through a busy day."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from infra.demo import attach, dba, story, tryton
from infra.demo.attach import COMMAND, ROLE, SOURCE, Check
from infra.demo.feed import Feed
from infra.demo.telling import Telling
from infra.demo.workshop import Workshop
from infra.stack import Stack
from infra.stack.site import DOWNLOADS

DATABASE = "erp"


def main(once: bool, svg: Path | None) -> int:
    """Run the demo; `once`: at full speed and without a terminal. Returns verify's exit code."""
    console = Console(highlight=False, markup=False)

    def say(line: str) -> None:
        console.print(line, style="dim", soft_wrap=True)

    with Stack(parts=("postgres",), say=say, fsync=False) as stack:
        return Demo(stack, console, say).run(once=once, svg=svg)


class Demo:
    """One run on a stack of which PostgreSQL is up. The seconds of each phase are printed at the end."""

    def __init__(self, stack: Stack, console: Console, say: Callable[[str], None]) -> None:
        self._stack, self._console, self._say = stack, console, say
        self._seconds: dict[str, float] = {}

    def run(self, *, once: bool, svg: Path | None) -> int:
        """ERP, onhand, story, verify; without `once` everything then keeps running until Ctrl-C."""
        with ThreadPoolExecutor(1) as beside:
            servers = beside.submit(self._stack.start, "kafka", "connect", "redis", "prometheus")
            workshop, settings = self._prepare_erp()
            with self._phase("waiting for the other servers"):
                servers.result()
        with self._phase("onhand apply"):
            attach.apply(settings)
        with attach.worker(self._stack, settings) as check, Feed(self._stack.redis.url) as feed:
            with self._phase("onhand worker live"):
                attach.wait_until_live(feed, check)
            with self._phase("story"):
                self._tell(workshop, feed, check, svg, live=self._console.is_terminal and not once)
            self._sum_up(feed)
            outcome = attach.verify(settings)
            if not once:
                self._stay(settings, check)
        return outcome

    def _prepare_erp(self) -> tuple[Workshop, Path]:
        """Tryton with its opening stock, open for capture to one role; and onhand's settings."""
        stack = self._stack
        url = stack.postgres.url(DATABASE)
        with self._phase("Tryton database"):
            tryton.prepare(url, stack.directory, DOWNLOADS / "cache", self._say)
            tryton.connect(url, stack.directory)
        with self._phase("opening stock"):
            workshop = Workshop()
            for step in story.opening(workshop):
                step.run()
        orgs, password = attach.companies(url), secrets.token_urlsafe()
        dba.allow_capture(url, attach.captured(url, orgs), password, ROLE)
        return workshop, attach.write_settings(stack, DATABASE, orgs, stack.secret(f"{SOURCE}-password", password))

    def _tell(self, workshop: Workshop, feed: Feed, check: Check, svg: Path | None, *, live: bool) -> None:
        steps = story.story(workshop)
        with Telling(feed, steps, check) as telling:
            if live:
                telling.live(self._console)
            else:
                telling.plain(self._console)
        if svg:
            telling.save(svg)
            self._say(f"the live table is kept in {svg}")
        self._say(f"{len(steps)} steps, {telling.summary()}")

    def _sum_up(self, feed: Feed) -> None:
        captured = attach.transactions(self._stack.metrics_port)
        self._say(f"{len(feed.documents())} stock keys served, {captured} business transactions captured")
        self._say("seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in self._seconds.items()))

    def _stay(self, settings: Path, check: Check) -> None:
        """Until Ctrl-C."""
        stack = self._stack
        for line in (
            "try by hand:",
            f"  redis-cli -p {stack.redis.port} HGETALL 'stock:{{TYRE-40}}:SHOP'",
            f"  redis-cli -p {stack.redis.port} XREVRANGE stock:changes + - COUNT 2",
            f"  redis-cli -p {stack.redis.port} HGETALL stock:meta",
            f"  promtool query instant {stack.prometheus.url} onhand_transactions_total",
            f"  curl -s http://127.0.0.1:{stack.metrics_port}/metrics | grep onhand_commit_to_readable",
            f"  {COMMAND} --config {settings} get TYRE-40",
            "running until Ctrl-C",
        ):
            self._console.print(line, soft_wrap=True)
        try:
            while True:
                check()
                time.sleep(1)
        except KeyboardInterrupt:
            self._say("stopping")

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - began
        self._say(f"{name}: {self._seconds[name]:.1f} s")
