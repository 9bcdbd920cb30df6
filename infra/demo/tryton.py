"""The demo's ERP: Tryton 8.0, prepared once in minutes, afterwards restored from a local dump in seconds.

Tryton runs inside this process through proteus: no server, no port, nothing read from the home directory. One database
per process (Tryton keeps its pool and settings in module globals).
"""

import hashlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO

import proteus
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from infra.demo import masterdata
from pipeline.domain.errors import NotReadyError

MODULES = ("stock", "stock_lot", "stock_split", "production")
Say = Callable[[str], None]


def prepare(url: str, directory: Path, cache: Path, say: Say) -> None:
    """Create the database `url` names and fill it with Tryton and the workshop's master data.

    `url` is an administrator's; `directory` takes Tryton's settings and its log; `cache` keeps the dump, named after
    everything it depends on, so that another module version or another preparation makes a new one.
    """
    _create_database(url)
    dump = cache / f"tryton-{_fingerprint(url)}.dump"
    if dump.exists():
        say("restoring the prepared Tryton database")
        _postgres_tool("pg_restore", url, "--no-owner", str(dump))
    else:
        say("preparing Tryton (once, one to two minutes; kept for the next time)")
        _initialise(url, directory, say)
        say("entering the workshop's products, bills of material and warehouses")
        connect(url, directory)
        masterdata.enter()
        _keep(url, dump)


def connect(url: str, directory: Path) -> None:
    """Make the database `url` the one proteus talks to, as Tryton's administrator in the workshop's company."""
    session = proteus.config.set_trytond(url, config_file=str(_settings_file(url, directory)))
    os.environ.pop("TRYTOND_DATABASE_URI")  # proteus leaves the administrator's URL to every child process
    session.skip_warning = True
    masterdata.use_company(session)


def _create_database(url: str) -> None:
    with psycopg.connect(_server(url, "postgres"), autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_name(url))))


def _fingerprint(url: str) -> str:
    """What the dump depends on: the modules' versions, the code that fills it, the server that must read it."""
    with psycopg.connect(url) as connection:
        server = str(connection.info.server_version // 10_000)
    versions = [version(name) for name in ("trytond", "proteus", *(f"trytond_{module}" for module in MODULES))]
    code = [Path(source).read_bytes() for source in (__file__, masterdata.__file__)]
    return hashlib.sha256(b"\0".join([server.encode(), *(v.encode() for v in versions), *code])).hexdigest()[:12]


def _initialise(url: str, directory: Path, say: Say) -> None:
    """Run Tryton's own administration command, naming each module as it is loaded."""
    log = directory / "tryton-init.log"
    password = directory / "tryton-admin-password"  # asked for by the command; proteus in-process needs none
    _write_private(password, secrets.token_urlsafe())
    command = [sys.executable, "-m", "trytond.cli.admin", "--config", str(_settings_file(url, directory))]
    command += ["--database", _name(url), "--update", *MODULES, "--activate-dependencies"]
    command += ["--email", "admin@example.com", "-vv"]
    environment = {**os.environ, "TRYTONPASSFILE": str(password)}
    with log.open("w") as out, _child(command, environment) as process:
        for module in _modules_loaded(process.stdout or (), out):
            say(f"preparing Tryton: module {module}")
    if process.returncode:
        raise NotReadyError("Tryton could not initialise its database", f"read {log}")


@contextmanager
def _child(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block when that is interrupted."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _modules_loaded(lines: Iterable[str], log: IO[str]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        log.write(line)
        loaded = re.search(r"INFO trytond\.modules (\w+) load", line)
        if loaded and loaded[1] not in seen:
            seen.add(loaded[1])
            yield loaded[1]


def _keep(url: str, dump: Path) -> None:
    """Dump the prepared database; a half-written dump never gets the final name."""
    dump.parent.mkdir(parents=True, exist_ok=True)
    unfinished = dump.with_suffix(f".{os.getpid()}")
    _postgres_tool("pg_dump", url, "--format=custom", "--no-owner", f"--file={unfinished}")
    unfinished.replace(dump)


def _postgres_tool(tool: str, url: str, *arguments: str) -> None:
    """Run pg_dump or pg_restore on `url`."""
    done = subprocess.run([tool, f"--dbname={url}", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotReadyError(f"{tool} failed on the demo's database: {done.stderr.strip()}", "rm -r .onhand/cache")


def _settings_file(url: str, directory: Path) -> Path:
    path = directory / "trytond.conf"
    _write_private(path, f"[database]\nuri = {_server(url)}\npath = {directory}\nlanguage = en\n")
    return path


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _name(url: str) -> str:
    return make_url(url).database or ""


def _server(url: str, database: str = "") -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)
