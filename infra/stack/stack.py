"""Starting, killing and stopping the parts together."""

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from infra.stack.connect import Connect
from infra.stack.kafka import Kafka
from infra.stack.mariadb import Mariadb
from infra.stack.part import START_SECONDS, Part
from infra.stack.postgres import Postgres
from infra.stack.prometheus import Alertmanager, Prometheus
from infra.stack.redis import Redis, RedisExporter
from infra.stack.site import DOWNLOADS, Site
from pipeline.domain.errors import NotReadyError, UsageError

DEFAULT_PARTS = ("postgres", "kafka", "connect", "redis", "prometheus")
PARTS = (*DEFAULT_PARTS, "mariadb", "alertmanager", "redis-exporter")
POLL_SECONDS = 0.05


def _say_nothing(line: str) -> None:
    del line


class Stack:
    """Real servers on loopback, in one directory.

    with Stack() as stack:                  # all parts ready
        stack.kill("kafka"); stack.start("kafka")

    With `monitoring` Prometheus also scrapes Connect, Redis and `onhand verify --every`, and tells Alertmanager.
    A part not named in `parts` can be started later. A directory that was given is kept, with its data; a fresh one
    (below .onhand/stacks) goes away unless the block ended with an error.
    Raises NotReadyError, naming the part and its log, when one does not become ready.
    """

    def __init__(
        self,
        directory: Path | None = None,
        parts: Iterable[str] = DEFAULT_PARTS,
        say: Callable[[str], None] = _say_nothing,
        *,
        fast_jvm: bool = True,
        fsync: bool = True,
        monitoring: bool = False,
    ) -> None:
        self._wanted = tuple(parts)
        unknown = set(self._wanted) - set(PARTS)
        if unknown:
            raise UsageError(f"the stack has no part {', '.join(sorted(unknown))}", f"choose from {', '.join(PARTS)}")
        self._site = site = Site(_folder(directory), fast_jvm=fast_jvm, fsync=fsync, monitoring=monitoring)
        self.keep = directory is not None
        """False: the directory is deleted at an end without error."""
        self._say = say
        self._launching, self._closed = threading.Lock(), False  # `start` may run beside the main thread
        self.postgres, self.mariadb, self.redis = Postgres(site), Mariadb(site), Redis(site)
        self.kafka, self.connect = Kafka(site), Connect(site)
        self.prometheus, self.alertmanager = Prometheus(site), Alertmanager(site)
        self.redis_exporter = RedisExporter(site)
        everything = (
            self.postgres,
            self.mariadb,
            self.redis,
            self.kafka,
            self.connect,
            self.redis_exporter,
            self.alertmanager,
            self.prometheus,
        )
        self._parts: dict[str, Part] = {part.name: part for part in everything}
        self._previous_handler: signal.Handlers | None = None

    @property
    def directory(self) -> Path:
        """Everything the stack writes."""
        return self._site.directory

    @property
    def secrets(self) -> Path:
        """The only folder from which connectors may read secrets (mode 0700)."""
        return self._site.secrets

    @property
    def logs(self) -> Mapping[str, Path]:
        """The log file of each part."""
        return {name: part.log for name, part in self._parts.items()}

    @property
    def metrics_port(self) -> int:
        """The port held for the worker's metrics, which Prometheus scrapes."""
        return self._site.port("metrics")

    @property
    def verify_port(self) -> int:
        """The same for `onhand verify --every`; scraped with `monitoring`."""
        return self._site.port("verify")

    def secret(self, name: str, value: str) -> Path:
        """Write a secret that connectors read with the `file` or `dir` provider (mode 0600)."""
        path = self.secrets / name
        path.touch(mode=0o600)
        path.write_text(value)
        return path

    def start(self, *names: str) -> None:
        """Start these parts and what they need; returns when all are ready. What runs already is left alone."""
        waiting = [part for part in self._with_needs(names) if not part.is_running]
        try:
            for part in waiting:
                self._launch(part)
            while waiting:
                waiting = [part for part in waiting if not self._has_come_up(part)]
                time.sleep(POLL_SECONDS)
        except BaseException:
            for part in waiting:
                part.kill()
            raise

    def stop(self, *names: str) -> None:
        """End these parts gracefully."""
        for name in names:
            self._parts[name].stop()

    def kill(self, name: str) -> None:
        """SIGKILL every process of the part, now."""
        self._parts[name].kill()

    def is_running(self, name: str) -> bool:
        """True while the part's server process lives."""
        return self._parts[name].is_running

    def pid(self, name: str) -> int | None:
        """The server's process id; None when it was never started, or stopped."""
        process = self._parts[name].process
        return process.pid if process else None

    def check(self) -> None:
        """Raise NotReadyError when a part has died by itself."""
        for part in self._parts.values():
            part.check()

    def close(self) -> None:
        """Stop everything, those that need others first, and give the ports back."""
        with self._launching:
            self._closed = True
        parts = sorted(self._parts.values(), key=lambda part: not part.needs)
        try:
            for part in parts:
                part.stop()
        except BaseException:  # a second Ctrl-C: no more patience
            for part in parts:
                part.kill()
            raise
        finally:
            self._site.release()

    def __enter__(self) -> Self:
        self._end_on_sigterm()
        try:
            self.start(*self._wanted)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            self._restore_sigterm()
        failed = kind is not None and issubclass(kind, Exception)  # Ctrl-C and SIGTERM are ordinary ends
        if not self.keep and not failed:
            self._site.remove()

    def _with_needs(self, names: Iterable[str]) -> list[Part]:
        wanted = {need for name in names for need in (*self._parts[name].needs, name)}
        return [part for name, part in self._parts.items() if name in wanted]

    def _launch(self, part: Part) -> None:
        with self._launching:
            if self._closed:
                raise NotReadyError(f"{part.name} was not started: the stack has been closed")
            part.launch()

    def _has_come_up(self, part: Part) -> bool:
        part.check()
        if not part.process:
            raise NotReadyError(f"{part.name} was stopped while it started")
        if part.age > START_SECONDS:
            raise part.failure(f"was not ready after {START_SECONDS} s")
        ready = part.is_ready()
        if ready:
            self._say(f"{part.name} ready after {part.age:.1f} s on {part.host}:{part.port}")
        return ready

    def _end_on_sigterm(self) -> None:
        """SIGTERM's default would end us and leave the servers behind."""
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._previous_handler = signal.SIG_DFL
            signal.signal(signal.SIGTERM, _exit)

    def _restore_sigterm(self) -> None:
        if self._previous_handler is not None:
            signal.signal(signal.SIGTERM, self._previous_handler)
            self._previous_handler = None


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    sys.exit(128 + number)


def _folder(directory: Path | None) -> Path:
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
        return directory.resolve()
    stacks = DOWNLOADS / "stacks"
    stacks.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=stacks))
    fresh.chmod(0o755)
    return fresh
