"""A source whose worker is a copy of the product, and the verify that watches it."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.stack import Stack
from tests.e2e.source import ONHAND, Source, wait_for

HERE = Path(__file__).parent
_ONE_AT_A_TIME = threading.Lock()
"""Roles, topics and Connect are those of all sources on the servers."""
_LINE = re.compile(r"verify: \S+: (\d+) keys compared at (\S+), (\d+) differ(, the feed is behind)?$")
_COVERAGE = re.compile(r"coverage: ([\d.]+) % of \d+ keys")


class Site(Source):
    """`product`: where the worker's source lies; `settings`: more of the worker's, as environment variables."""

    def __init__(self, stack: Stack, name: str, product: Path, settings: Mapping[str, str] | None = None) -> None:
        with _ONE_AT_A_TIME:
            super().__init__(stack, name, str(HERE / "pack"), HERE / "schema.sql")
        self.product, self._settings = product, settings or {}

    @property
    def url(self) -> str:
        return self.stack.postgres.url(self.name)

    def start_worker(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(self.product)} | self._settings
        with self.log.open("ab") as log:
            command = [ONHAND, "--config", str(self.config), "worker"]
            self.worker = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)

    def apply(self) -> None:
        with _ONE_AT_A_TIME:
            super().apply()

    def restart_worker(self) -> None:
        """As after a crash."""
        self.kill_worker()
        time.sleep(1)  # transactions go on
        self.start_worker()

    def restart_connect(self) -> None:
        """Under every source on these servers."""
        with _ONE_AT_A_TIME:
            self.stack.kill("connect")
            self.stack.start("connect")

    def write_unreadable_row(self) -> None:
        """A row moves to another key, and the connector leaves out what lies beside it: the log has no whole row."""
        self.sql.execute("UPDATE quant SET id = id + 1000000 WHERE id = (SELECT min(id) FROM quant WHERE terms <> '')")

    def change_mapping(self) -> None:
        """The ERP's keeper applies another pack, which needs no rows to be read again, and starts the worker."""
        self.kill_worker()
        self.write_config(str(HERE / "pack-in-boxes"))
        self.apply()
        self.start_worker()

    def read_anew(self) -> None:
        """A new epoch in the same log, as where changes were lost."""
        self.kill_worker()
        with _ONE_AT_A_TIME:
            done = self.onhand("apply", "--snapshot", self.name)
        assert done.returncode == 0, done.stderr
        self.start_worker()


@dataclass
class Round:
    """One comparison of the watching verify. `seconds` since it began to watch."""

    seconds: float
    compared: int
    coverage: float
    differing: int
    behind: bool
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def is_alarm(self) -> bool:
        """A difference, and not only a feed that is late, or a key that says itself that it may be wrong."""
        return not self.behind and any(row["state"] == "live" for row in self.rows)

    @property
    def layers(self) -> list[str]:
        return sorted({row["differs"] for row in self.rows})


class Watch:
    """`onhand verify --every`, of the product as it is; its rounds so far."""

    def __init__(self, source: Source, every: str, timeout: str = "15s") -> None:
        self.rounds: list[Round] = []
        self.failed: list[str] = []
        self.said: list[str] = []
        self._coverage, self._rows = 0.0, list[list[dict[str, str]]]()
        command = [ONHAND, "--config", str(source.config), "verify", "--every", every, "--timeout", timeout,
                   "--metrics-port", "0", "-o", "json"]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._begun = time.monotonic()
        self._threads = [threading.Thread(target=self._data), threading.Thread(target=self._talk)]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()
            for thread in self._threads:
                thread.join()

    def wait_for(self, condition: Callable[["Watch"], bool], seconds: float) -> bool:
        """Whether it became true in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(self):
                return True
            assert self._process.poll() is None, f"verify ended: {self.failed}"
            time.sleep(0.1)
        return False

    @property
    def alarm(self) -> Round | None:
        return next((r for r in self.rounds if r.is_alarm), None)

    def _data(self) -> None:
        held: list[str] = []
        for line in self._process.stdout or ():
            held.append(line)
            if line.rstrip("\n") in ("]", "[]"):
                self._rows.append(json.loads("".join(held)))
                held.clear()

    def _talk(self) -> None:
        for line in self._process.stderr or ():
            self.said.append(line.rstrip("\n"))
            if found := _COVERAGE.match(line):
                self._coverage = float(found[1])
            elif found := _LINE.match(line.rstrip("\n")):
                self._end_of_round(int(found[1]), int(found[3]), bool(found[4]))
            elif line.startswith("verify: "):
                self.failed.append(line.strip())

    def _end_of_round(self, compared: int, differing: int, behind: bool) -> None:
        rows = wait_for(lambda: len(self._rows) > len(self.rounds), "a round's data") and self._rows[len(self.rounds)]
        seconds = round(time.monotonic() - self._begun, 1)
        self.rounds.append(Round(seconds, compared, self._coverage, differing, behind, rows))
