"""onhand as an operator runs it: a settings file, `onhand apply`, `onhand worker` as a process, `onhand verify`."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import requests
from prometheus_client.parser import text_string_to_metric_families

from infra.demo.feed import Feed
from infra.stack import Stack
from pipeline import pack
from pipeline.adapters import erp
from pipeline.domain.errors import NotReadyError
from pipeline.query import compile_source
from pipeline.settings import Source

SOURCE, ROLE = "erp", "cdc"
COMMAND = Path(sys.executable).with_name("onhand")
LIVE_SECONDS = 60
STOP_SECONDS = 20
_LOOK_SECONDS = 0.05
SETTINGS = """\
[kafka]
bootstrap_servers = "{kafka}"
connect_url = "{connect}"

[redis]
url = "{redis}"

[worker]
metrics_port = {metrics}

[sources.{source}]
pack = "tryton"
database = "{database}"
password_file = "{password_file}"
params = {{ orgs = {orgs} }}
time_zone = "UTC"
"""
Check = Callable[[], None]
"""Raises NotReadyError when the worker or a server has died."""


def companies(url: str) -> list[int]:
    """The ids of the ERP's companies: the pack's parameter `orgs`."""
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM company_company ORDER BY id")]


def captured(url: str, orgs: Sequence[int]) -> Mapping[str, Sequence[str]]:
    """The tables and columns that the pack's queries read, derived from them; `url` is an administrator's."""
    params = {"orgs": list(orgs)}
    catalog = erp.inspect(Source(name=SOURCE, pack="tryton", database=url, params=params))
    tryton = pack.load("tryton", params, catalog)
    return compile_source(tryton.texts, tryton.complete(catalog), tryton.params).captured


def write_settings(stack: Stack, database: str, orgs: Sequence[int], password_file: Path) -> Path:
    """onhand.toml for this stack."""
    text = SETTINGS.format(
        kafka=stack.kafka.bootstrap,
        connect=stack.connect.url,
        redis=stack.redis.url,
        metrics=stack.metrics_port,
        source=SOURCE,
        database=stack.postgres.url(database, user=ROLE),
        password_file=password_file,
        orgs=list(orgs),
    )
    path = stack.directory / "onhand.toml"
    path.write_text(text)
    return path


def apply(settings: Path) -> None:
    """Raises NotReadyError with what `onhand apply` said."""
    done = subprocess.run(_command(settings, "apply"), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReadyError(f"onhand apply failed: {done.stderr.strip()}")


def verify(settings: Path) -> int:
    """Let `onhand verify` speak for itself; its exit code."""
    return subprocess.run(_command(settings, "verify"), check=False).returncode


@contextmanager
def worker(stack: Stack, settings: Path) -> Iterator[Check]:
    """`onhand worker` while the block runs; ended by SIGTERM."""
    log = stack.directory / "logs" / "worker.log"
    with log.open("wb") as out:
        # a session of its own: Ctrl-C in the terminal reaches the demo, which then stops things in order
        process = subprocess.Popen(_command(settings, "worker"), stdout=out, stderr=out, start_new_session=True)

    def check() -> None:
        if process.poll() is not None:
            raise NotReadyError(f"the worker has ended with code {process.returncode}", f"read {log}")
        stack.check()

    try:
        yield check
    finally:
        _end(process)


def wait_until_live(feed: Feed, check: Check) -> None:
    """Block until the worker serves the opening stock. Raises NotReadyError after LIVE_SECONDS."""
    deadline = time.monotonic() + LIVE_SECONDS
    while feed.state() != "live":
        check()
        if time.monotonic() > deadline:
            raise NotReadyError(f"the worker was not live after {LIVE_SECONDS} s", "read its log and Connect's")
        time.sleep(_LOOK_SECONDS)


def transactions(metrics_port: int) -> int:
    """Source transactions that changed captured rows, as the worker's own metric counts them."""
    text = requests.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = families["onhand_transactions"].samples
    return round(sum(sample.value for sample in samples if sample.name == "onhand_transactions_total"))


def _command(settings: Path, verb: str) -> list[str]:
    return [str(COMMAND), "--config", str(settings), verb, SOURCE]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
