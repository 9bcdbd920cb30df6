"""Prometheus' own tool runs the rules' tests; every alert has a test, a runbook entry and what a person needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.telemetry import REGISTRY
from tests.docs.markdown import text
from tests.infra.rules import ALERTS, DEPARTMENTS, FILES, FOLDER, LABELS, RULES, TESTS, metrics_of, run

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def test_rules_and_settings_are_well_formed() -> None:
    said = run("promtool", "check", "rules", *FILES)
    assert sum(map(int, re.findall(r"(\d+) rules found", said))) == len(RULES)
    run("promtool", "check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_rules_fire_when_they_should(file: Path) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", file)


def test_no_two_alerts_have_one_name() -> None:
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)


@each_alert
def test_alert_is_complete(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert alert["labels"]["department"] in DEPARTMENTS
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$value" in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_the_runbook_has_a_heading_for_each_alert_and_none_for_others() -> None:
    headings = re.findall(r"^## (Onhand\w+)$", text("docs/runbook.md"), re.MULTILINE)
    assert sorted(headings) == sorted(alert["alert"] for alert in ALERTS)


@each_alert
def test_the_runbook_says_what_it_means_what_to_type_and_when_it_ends(alert: dict[str, Any]) -> None:
    section = text("docs/runbook.md").split(f"\n## {alert['alert']}\n")[1].split("\n## ")[0]
    assert "**Means**" in section
    assert "**Ends**" in section
    assert re.search(r"^1\. ", section, re.MULTILINE)
    assert "`" in section


@each_alert
def test_alert_is_tested_quiet_and_firing(alert: dict[str, Any]) -> None:
    tests = [test for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == alert["alert"]]
    assert [case for case in cases if case["exp_alerts"]]
    if alert["alert"] != "OnhandWatchdog":  # which is never quiet
        assert [case for case in cases if not case["exp_alerts"]]


def test_metrics_of_ours_that_rules_name_are_the_workers() -> None:
    exposed = {family.name for family in REGISTRY.collect()}
    watched = {name for rule in RULES for name in metrics_of(rule) if name.startswith("onhand_")}
    assert {re.sub("_(total|bucket)$", "", name) for name in watched} <= exposed


def test_no_metric_has_a_label_that_grows_with_the_erp() -> None:
    ours = {label for collector in REGISTRY._collector_to_names for label in getattr(collector, "_labelnames", ())}
    assert ours <= LABELS
    exported = yaml.safe_load((FOLDER / "connect-metrics.yml").read_text())["rules"]
    assert {label for rule in exported for label in rule.get("labels", {})} <= LABELS
    given = {label for rule in RULES for label in rule.get("labels", {})}
    grouped = {
        label.strip()
        for r in RULES
        for found in re.findall(r"(?:by|on) \(([^)]*)\)", r["expr"])
        for label in found.split(",")
    }
    assert given | grouped <= LABELS
