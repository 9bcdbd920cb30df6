"""The rules and routes that are shipped, as the tests read them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from infra.stack.site import ROOT

FOLDER = ROOT / "infra/prometheus"
FILES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.test.yml"))
RULES = [rule for file in FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DEPARTMENTS = {"it", "warehouse", "purchasing", "production", "sales"}
# one value each of these is bounded by what an installation is made of, not by what an ERP holds
LABELS = {"source", "kind", "state", "result", "job", "instance", "le", "department", "severity"}
_METRIC = re.compile(r"(?<![\w:])(?:up|(?:onhand|debezium|kafka_connect|redis|prometheus|process)_\w+)(?![\w:])")


def metrics_of(rule: dict[str, Any]) -> set[str]:
    """The scraped metrics that a rule's expression names; what rules have recorded has colons."""
    return set(_METRIC.findall(rule["expr"]))


def run(*command: str | Path) -> str:
    """What a tool of Prometheus says; fails unless it exits 0."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
