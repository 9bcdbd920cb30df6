"""A place to type `onhand` at: a database of its own on the shared servers, a pack, a settings file."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import requests

from infra.stack import Stack
from pipeline.adapters import kafka, sources
from pipeline.settings import Kafka

ONHAND = str(Path(sys.executable).parent / "onhand")
SECRET = "pa55-nobody-may-print"

PACK = """\
title = "Two tables"
dialect = "postgres"

[stock]
reserved = "stock"
"""
STOCK = """\
SELECT q.item, q.warehouse, q.quantity AS on_hand, q.reserved
FROM quant q JOIN item i ON i.code = q.item
WHERE i.active
"""
SCHEMA = """\
CREATE TABLE item (code text PRIMARY KEY, active boolean NOT NULL, cost numeric(12,2));
CREATE TABLE quant (id int PRIMARY KEY, item text NOT NULL, warehouse text,
                    quantity numeric(12,3), reserved numeric(12,3));
INSERT INTO item VALUES ('BOLT', true, 1), ('NUT', true, 2), ('OLD', false, 3);
INSERT INTO quant VALUES (1, 'BOLT', 'W1', 5, 1), (2, 'NUT', 'W1', 7.5, 0), (3, 'OLD', 'W1', 9, 0);
"""
GRANTS = (
    "GRANT SELECT (code, active) ON item TO {role}",
    "GRANT SELECT (id, item, warehouse, quantity, reserved) ON quant TO {role}",
)
PUBLICATION = """\
CREATE PUBLICATION onhand FOR TABLE public.item (code, active), public.quant (id, item, warehouse, quantity, reserved)
"""


class Site:
    """One source called `name`; tests break one thing of it and see what is said, and what was left behind."""

    def __init__(self, stack: Stack, name: str, folder: Path, *, role: str = "site_cdc") -> None:
        self.stack, self.name, self.role = stack, name, role
        self.pack, self.config = folder / "pack", folder / "onhand.toml"
        self.pack.mkdir()
        (self.pack / "pack.toml").write_text(PACK)
        (self.pack / "stock.sql").write_text(STOCK)
        self.password_file = stack.secret(f"{name}-password", SECRET)
        self.make_database()
        self.settings = {
            "kafka": {"bootstrap_servers": stack.kafka.bootstrap, "connect_url": stack.connect.url},
            "redis": {"url": stack.redis.url},
            "worker": {"metrics_port": 0},
            f"sources.{name}": {
                "pack": str(self.pack),
                "database": stack.postgres.url(name, user=role),
                "password_file": str(self.password_file),
                "prefix": name,
            },
        }

    def make_database(self) -> None:
        with psycopg.connect(self.stack.postgres.dsn, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {self.name}")
            if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [self.role]).fetchone():
                admin.execute(f"CREATE ROLE {self.role} LOGIN REPLICATION PASSWORD '{SECRET}'")
        self.sql(*self.schema)

    @property
    def schema(self) -> list[str]:
        """What the ERP has, and what its administrator did for capture."""
        return [SCHEMA, *(grant.format(role=self.role) for grant in GRANTS), PUBLICATION]

    def sql(self, *statements: str) -> None:
        """As the database's administrator."""
        with psycopg.connect(self.stack.postgres.url(self.name), autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement)

    @property
    def kafka(self) -> Kafka:
        return Kafka(bootstrap_servers=self.stack.kafka.bootstrap, connect_url=self.stack.connect.url)

    def write_settings(self) -> None:
        lines = [
            line
            for heading, section in self.settings.items()
            for line in (f"[{heading}]", *(f"{name} = {value!r}" for name, value in section.items()))
        ]
        self.config.write_text("\n".join(lines))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command; the caller ends it."""
        self.write_settings()
        command = [ONHAND, "--config", str(self.config), *arguments]
        environ = {**os.environ, **environment}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)

    def onhand(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Type a command; whatever comes, there is no traceback and no secret in it."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=150)
        assert "Traceback" not in err, err
        assert SECRET not in out + err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def refused(self, *arguments: str, code: int, says: tuple[str, ...]) -> str:
        """The command ends with `code` and says all of `says`, with a fix; and nothing has been set up."""
        done = self.onhand(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "fix: " in done.stderr, done.stderr
        for text in says:
            assert text in done.stderr, done.stderr
        self.assert_untouched()
        return done.stderr

    def assert_untouched(self) -> None:
        assert kafka.settings_of(self.kafka, f"onhand.{self.name}.alerts") is None
        assert kafka.end_offset(self.kafka, f"onhand.{self.name}.log") == 0
        assert sources.find_applied(self.kafka, self.name) is None
        answer = requests.get(f"{self.stack.connect.url}/connectors", timeout=10)
        assert f"onhand-{self.name}" not in answer.json()

    def remove(self) -> None:
        requests.delete(f"{self.stack.connect.url}/connectors/onhand-{self.name}", timeout=30)
