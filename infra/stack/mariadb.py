"""MariaDB with a row binlog and GTIDs, as Debezium reads it."""

import os
import subprocess
from collections.abc import Sequence
from typing import ClassVar

from infra.stack.part import Part, program

SETTINGS = """\
[mariadbd]
bind-address={host}
port={port}
datadir={home}/data
socket={home}/mariadb.sock
pid-file={home}/mariadb.pid
server-id=1
log-bin=binlog
binlog-format=ROW
binlog-row-image=FULL
gtid-strict-mode=ON
character-set-server=utf8mb4
skip-name-resolve
innodb-buffer-pool-size=64M
innodb-flush-log-at-trx-commit={flush}
sync-binlog={flush}
"""


class Mariadb(Part):
    """MariaDB 10.11. The superuser `root` needs no password on this machine, every other account its own."""

    name: ClassVar[str] = "mariadb"

    @property
    def user(self) -> str | None:
        """The package's own account: mariadbd refuses root."""
        return "mysql" if os.geteuid() == 0 else None

    @property
    def socket(self) -> str:
        """The Unix socket."""
        return str(self.home / "mariadb.sock")

    def url(self, database: str, user: str) -> str:
        """The URL of a database, without a password."""
        return f"mariadb://{user}@{self.host}:{self.port}/{database}"

    def commands(self) -> Sequence[Sequence[str]]:
        """`mariadb-install-db` on the first start."""
        settings = self.home / "mariadb.cnf"
        flush = int(self.site.fsync)
        settings.write_text(SETTINGS.format(host=self.host, port=self.port, home=self.home, flush=flush))
        only = f"--defaults-file={settings}"
        server = [program("mariadbd"), only]
        create = [program("mariadb-install-db"), only, "--auth-root-authentication-method=normal", "--skip-test-db"]
        return [server] if (self.home / "data/mysql").exists() else [create, server]

    def is_ready(self) -> bool:
        """The superuser's ping."""
        ping = [program("mariadb-admin"), "--no-defaults", "--user=root", f"--socket={self.socket}", "ping"]
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0
