"""onhand.toml and environment variables that nobody would write."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from pipeline import settings
from pipeline.domain.errors import OnhandError
from tests.fuzz.lines import changed
from tests.fuzz.run import Part, hunt

SECRET = "S3CRET-canary"
GOOD = f"""[kafka]
bootstrap_servers = "127.0.0.1:9092"
connect_url = "http://127.0.0.1:8083"
replication_factor = 1
security_protocol = "SASL_SSL"
sasl_mechanism = "PLAIN"
sasl_username = "onhand"
sasl_password_file = "secret"
ssl_cafile = "ca.pem"

[redis]
url = "rediss://127.0.0.1:6379/0"
password_file = "secret"
ssl_cafile = "ca.pem"

[worker]
metrics_host = "127.0.0.1"
metrics_port = 9464
directory = "rows"

[sources.erp]
pack = "./tryton"
database = "postgresql://cdc@127.0.0.1:5432/erp"
password_file = "secret"
connect_password = "${{dir:/run/secrets:erp}}"
time_zone = "Europe/Berlin"
prefix = "stock"
rows = "disk"
poll_interval_ms = 5

[sources.erp.params]
orgs = [1]

[sources.other]
pack = "tryton"
database = "postgresql://cdc@127.0.0.1/other"
password = "{SECRET}"
prefix = "other"
"""
_PIECES = (
    "postgresql://a:" + SECRET + "@h/d",
    "postgresql://[::1/x",
    "http://[",
    "redis://:x@",
    "../secret",
    ".",
    "/",
    "\\u0000",
    "[[sources]]",
    "sources = 1",
    "kafka = []",
    "Europe/../x",
    "${dir:a",
    "rediss://h:99999999/0",
    "broken",
    "inf",
)
_VARIABLES = (
    "KAFKA",
    "KAFKA__BOOTSTRAP_SERVERS",
    "REDIS__URL",
    "REDIS__PASSWORD",
    "WORKER__METRICS_PORT",
    "SOURCES",
    "WORKER",
    "SOURCES__ERP__PARAMS",
    "SOURCES__ERP",
    "SOURCES__ERP__DATABASE",
    "SOURCES__NEW__PACK",
    "SOURCES__",
    "X",
    "",
)
_VALUES = (
    "",
    "{}",
    "[]",
    "1",
    "null",
    "{",
    '{"erp": 1}',
    '{"orgs": [1]}',
    SECRET,
    "127.0.0.1:1",
    "9" * 5000,
    "[" * 2000,
    "NaN",
)


@dataclass(frozen=True)
class Example:
    """A file and an environment."""

    toml: bytes
    environment: dict[str, str] = field(default_factory=dict)


def examples() -> st.SearchStrategy[Example]:
    """The good file changed, under some variables."""
    # the system refuses other texts before we see them
    texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)
    variables = st.dictionaries(
        st.sampled_from(_VARIABLES).map("ONHAND_{}".format), st.sampled_from(_VALUES) | texts, max_size=2
    )
    return st.builds(Example, changed(GOOD, _PIECES), st.just({}) | variables)


def outcome(example: Example) -> str:
    """`loaded` or `refused`; AssertionError for an error without a fix, or with a secret in it."""
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, example.environment):
        (Path(home) / "secret").write_text("word\n")
        (Path(home) / "broken").write_bytes(b"\xff\xfe")
        file = Path(home) / "onhand.toml"
        file.write_bytes(example.toml)
        try:
            _use(settings.load(file))
        except OnhandError as e:
            if not e.fix or SECRET in str(e):
                raise AssertionError(f"no fix, or a secret: {e}") from e
            return "refused"
    return "loaded"


def _use(loaded: settings.Settings) -> None:
    """Look at whatever a command may look at."""
    _ = loaded.kafka.secret, loaded.redis.secret, loaded.redis.address
    for name in loaded.sources:
        source = loaded.source(name)
        _ = source.secret, source.placeholder, source.zone, source.slot_name, source.log_topic, source.connector


PARTS = {"settings": Part(examples, outcome)}
COVERED = ("pipeline.settings",)


def run(seconds: float, seed: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Try for so long."""
    return hunt("settings", PARTS, seconds, seed, say)
