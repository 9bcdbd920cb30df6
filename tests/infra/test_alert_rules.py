"""Prometheus' own tool runs the rules' tests; every alert has a test, a runbook entry and what a person needs."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.telemetry import REGISTRY

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/prometheus"
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "onhand.rules.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, cwd=FOLDER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_well_formed():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "onhand.rules.yml")


def test_rules_fire_when_they_should():
    assert "SUCCESS" in promtool("test", "rules", "onhand.rules.test.yml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_is_complete(alert: dict):
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    page, heading = alert["annotations"]["runbook_url"].split("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert heading in {heading.lower() for heading in headings}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_is_tested_quiet_and_firing(alert: dict):
    tests = yaml.safe_load((FOLDER / "onhand.rules.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == alert["alert"]]
    assert [case for case in cases if case["exp_alerts"]]
    assert [case for case in cases if not case["exp_alerts"]]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_watches_metrics_that_the_worker_has(alert: dict):
    exposed = {family.name for family in REGISTRY.collect()}
    watched = set(re.findall(r"onhand_\w+", alert["expr"]))
    assert {name.removesuffix("_total") for name in watched} <= exposed
