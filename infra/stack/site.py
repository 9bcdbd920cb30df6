"""Where one stack lives: its directory, its ports, its secrets."""

import os
import pwd
import shutil
import socket
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOWNLOADS = ROOT / ".onhand"
HOST = "127.0.0.1"


class Site:
    """The directory of one stack and the loopback ports it holds.

    A port is chosen by the kernel and stays bound by a socket that never listens: servers (which all set
    SO_REUSEADDR) can listen on it, yet the kernel gives it to nobody else while a killed server is away.
    """

    def __init__(self, directory: Path, *, fast_jvm: bool, fsync: bool, monitoring: bool) -> None:
        self.directory, self.fast_jvm, self.fsync, self.monitoring = directory, fast_jvm, fsync, monitoring
        self.secrets = directory / "secrets"
        self.logs = directory / "logs"
        self._held: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._elsewhere: list[Path] = []
        self.logs.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)

    def port(self, name: str) -> int:
        """The port held under this name: the same one for the life of the stack."""
        with self._lock:  # parts may be started beside the main thread
            if name not in self._held:
                self._held[name] = _hold_port()
        return int(self._held[name].getsockname()[1])

    def home(self, name: str, owner: str | None = None) -> Path:
        """The part's own folder, made when missing; `owner` is the user it is handed to.

        A checkout below a closed folder (/root) cannot be reached by another user: the folder then lies in
        the system's temporary directory, with a link to it in the stack's.
        """
        path = self.directory / name
        if not path.exists():
            if owner and not _reachable(self.directory):
                elsewhere = Path(tempfile.mkdtemp(prefix=f"onhand-{name}-"))
                self._elsewhere.append(elsewhere)
                path.symlink_to(elsewhere)
            else:
                path.mkdir()
            if owner:
                account = pwd.getpwnam(owner)
                os.chown(path, account.pw_uid, account.pw_gid)
        return path.resolve()

    def release(self) -> None:
        """Give the ports back."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    def remove(self) -> None:
        """Delete everything the stack has written."""
        for folder in (*self._elsewhere, self.directory):
            shutil.rmtree(folder, ignore_errors=True)


def _hold_port() -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((HOST, 0))
    return held


def _reachable(folder: Path) -> bool:
    """True when every user may walk through to `folder`."""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))
