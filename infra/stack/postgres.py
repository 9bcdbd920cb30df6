"""PostgreSQL with logical decoding. The superuser is trusted on loopback, every other role needs its password."""

import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import psycopg

from infra.stack.part import Part, program

ACCESS = """\
host all,replication postgres 127.0.0.1/32 trust
host all,replication all      127.0.0.1/32 scram-sha-256
"""


class Postgres(Part):
    """PostgreSQL 15 (or the newest installed); no Unix socket, `wal_level=logical`."""

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": does not wait for clients to leave

    @property
    def user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        return "postgres" if os.geteuid() == 0 else None

    @property
    def dsn(self) -> str:
        """The superuser's URL of the database `postgres`."""
        return self.url("postgres")

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database, without a password."""
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    def commands(self) -> Sequence[Sequence[str]]:
        """`initdb` on the first start."""
        data, access = self.home / "data", self.home / "pg_hba.conf"
        access.write_text(ACCESS)
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "hba_file": access,
            "wal_level": "logical",
            "max_wal_senders": 20,
            "max_replication_slots": 20,
            "fsync": "on" if self.site.fsync else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server = [_binary("postgres"), "-D", str(data), *options]
        create = [_binary("initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        return [server] if (data / "PG_VERSION").exists() else [create, server]

    def is_ready(self) -> bool:
        """A superuser's session opens."""
        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _binary(name: str) -> str:
    """The server's programs are not on Debian's PATH; 15 is what is tested, else the newest."""
    versions = sorted(Path("/usr/lib/postgresql").glob("[0-9]*"), key=lambda path: int(re.sub(r"\D.*", "", path.name)))
    tested = [path for path in versions if path.name == "15"]
    return program(name, *(str(path / "bin") for path in (*tested, *reversed(versions))))
