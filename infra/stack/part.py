"""What a part of the stack is: how it is configured, started and known to be ready."""

import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import requests

from infra.stack.process import Process
from infra.stack.site import HOST, Site
from pipeline.domain.errors import NotReadyError

START_SECONDS = 90  # a loaded two-core machine starts Connect in under 20
INSTALL = "sh infra/bootstrap.sh test"


class Part(ABC):
    """One server. Its addresses can be read before it runs: the port is held from the first look on."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    host = HOST

    def __init__(self, site: Site) -> None:
        self.site = site
        self.log = site.logs / f"{self.name}.log"
        self.process: Process | None = None
        self._launched = 0.0

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.site.port(self.name)

    @property
    def user(self) -> str | None:
        """The user to run as; None: ours."""
        return None

    @property
    def home(self) -> Path:
        """Its configuration and data."""
        return self.site.home(self.name, self.user)

    @abstractmethod
    def commands(self) -> Sequence[Sequence[str]]:
        """Write the configuration; what to run before the server, and last the server itself."""

    @abstractmethod
    def is_ready(self) -> bool:
        """True when it answers as a client needs it to."""

    @property
    def is_running(self) -> bool:
        """True while the server's process lives."""
        return self.process is not None and self.process.exit_code is None

    @property
    def age(self) -> float:
        """Seconds since the launch."""
        return time.monotonic() - self._launched

    def launch(self) -> None:
        """Start the process; ready comes later."""
        self._launched = time.monotonic()
        self.process = Process(self.commands(), log=self.log, home=self.home, user=self.user)

    def check(self) -> None:
        """Raise NotReadyError when the process has ended by itself."""
        code = self.process.exit_code if self.process else None
        if code is not None:
            raise self.failure(f"ended with exit code {code}")

    def failure(self, what: str) -> NotReadyError:
        """The error a person reads: the part, its log and the last lines of it."""
        lines = self.process.last_lines() if self.process else ""
        return NotReadyError(f"{self.name} {what}; its log {self.log} ends with:\n{lines}", f"less {self.log}")

    def stop(self) -> None:
        """End it gracefully."""
        process, self.process = self.process, None
        if process:
            process.stop(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL it and all its processes."""
        process, self.process = self.process, None
        if process:
            process.kill()


def program(name: str, *folders: str) -> str:
    """The path of an installed program, looked for in `folders` first; NotReadyError names it when it is missing."""
    search = [*folders, "/usr/bin", "/usr/sbin", "/usr/local/bin"]
    found = shutil.which(name, path=":".join(search)) or shutil.which(name)
    if not found:
        raise NotReadyError(f"{name} is not installed", INSTALL)
    return found


def answers(url: str) -> bool:
    """True when `url` answers well within half a second."""
    try:
        return requests.get(url, timeout=0.5).ok
    except requests.RequestException:
        return False
