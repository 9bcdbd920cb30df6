"""One server process: started in a session of its own, its output in a log file, stopped by its process id."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

STOP_SECONDS = 20
LAST_LINES = 15
POLL_SECONDS = 0.02


class Process:
    """A command and the processes it started.

    `commands` run one after the other as one shell line; the last replaces the shell, so `pid` is the server's.
    """

    def __init__(self, commands: Sequence[Sequence[str]], *, log: Path, home: Path, user: str | None = None) -> None:
        *before, server = (shlex.join(command) for command in commands)
        line = " && ".join([*before, f"exec {server}"])
        with log.open("ab") as output:
            self._log, self._log_start = log, output.tell()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", line],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches us only, and we stop things in order
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )

    @property
    def pid(self) -> int:
        """The server's process id, also its process group's."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def tree(self) -> list[psutil.Process]:
        """The server and its descendants; empty when it has ended."""
        try:
            server = psutil.Process(self.pid)
            return [server, *server.children(recursive=True)] if self.exit_code is None else []
        except psutil.NoSuchProcess:
            return []

    def stop(self, with_signal: signal.Signals) -> None:
        """Ask the server to end, wait, and kill what is left after STOP_SECONDS."""
        family = self.tree()
        if family:
            os.kill(self.pid, with_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            family += self.tree()
        self._kill(family)

    def kill(self) -> None:
        """SIGKILL the server and every descendant, now. PostgreSQL's children leave the group: hence the tree."""
        self._kill(self.tree())

    def _kill(self, family: list[psutil.Process]) -> None:
        for member in family:
            try:
                member.kill()  # psutil compares the start time first: a reused process id is never hit
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        while not all(map(_has_ended, family)):
            time.sleep(POLL_SECONDS)

    def last_lines(self) -> str:
        """What this run wrote last."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-LAST_LINES:])


def _has_ended(process: psutil.Process) -> bool:
    """A zombie has given back its ports and files; only its parent can make it vanish, and that may take its time."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
