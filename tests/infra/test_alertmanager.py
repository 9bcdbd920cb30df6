"""Who is told of an alert, and which alerts keep others from being told: asked of Alertmanager itself."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import requests
import yaml

from infra.stack import Stack
from tests.e2e.source import wait_for
from tests.infra.rules import ALERTS, DEPARTMENTS, FOLDER, run

SETTINGS = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
ROUTES = {
    ("OnhandWatchdog", "it", "info"): "dead-mans-switch",
    ("OnhandFeedStale", "it", "critical"): "on-call",
    ("OnhandLag", "it", "warning"): "it",
    ("OnhandVerifyMissing", "it", "info"): "it",
    ("OnhandOnHandBelowZero", "warehouse", "warning"): "warehouse",
    ("OnhandOnHandBelowZero", "warehouse", "critical"): "warehouse",
    ("OnhandAvailableBelowZero", "purchasing", "warning"): "purchasing",
    ("AnAlertOfProduction", "production", "warning"): "production",
    ("AnAlertOfSales", "sales", "critical"): "sales",
    ("AnAlertOfNobody", "", "critical"): "it",
}
INHIBITED = {
    "OnhandWorkerDown": ("OnhandFeedStale", "OnhandLag", "OnhandSlow", "OnhandSourceSilent", "OnhandOnHandBelowZero"),
    "OnhandRedisWaiting": ("OnhandFeedStale", "OnhandLag", "OnhandVerifyOverdue"),
    "OnhandChangesLost": ("OnhandSourceSilent", "OnhandFeedStale", "OnhandAvailableBelowZero"),
    "OnhandConnectorFailed": ("OnhandSourceSilent", "OnhandConnectorRestarts", "OnhandFeedStale"),
    "OnhandConnectorDead": ("OnhandSourceSilent", "OnhandCaptureLag"),
    "OnhandPartAway": ("OnhandSourceSilent",),
    "OnhandSourceSilent": ("OnhandFeedStale",),
    "OnhandWalNearlyLost": ("OnhandWalKept",),
    "OnhandVerifyDiffers": ("OnhandOnHandBelowZero",),
}
OF_ANY_SOURCE = {
    "OnhandRedisDown": ("OnhandRedisWaiting", "OnhandFeedStale", "OnhandLag"),
    "OnhandRedisEvicts": ("OnhandRedisMayEvict", "OnhandRedisForeignKeys"),
}
LABELS = {alert["alert"]: alert["labels"] for alert in ALERTS}


def test_the_settings_are_well_formed() -> None:
    assert "SUCCESS" in run("amtool", "check-config", "alertmanager.yml")


@pytest.mark.parametrize(("alert", "receiver"), ROUTES.items(), ids=lambda x: x if isinstance(x, str) else x[0])
def test_who_is_told(alert: tuple[str, str, str], receiver: str) -> None:
    name, department, severity = alert
    labels = [f"alertname={name}", f"severity={severity}", *([f"department={department}"] if department else [])]
    told = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", *labels)
    assert told.split() == [receiver]


def test_every_department_has_a_receiver() -> None:
    assert {receiver["name"] for receiver in SETTINGS["receivers"]} >= DEPARTMENTS


def test_every_alert_that_is_named_exists() -> None:
    named = set(re.findall(r"Onhand\w+", (FOLDER / "alertmanager.yml").read_text()))
    assert named <= LABELS.keys()
    causes = {
        name for rule in SETTINGS["inhibit_rules"] for name in re.findall(r"Onhand\w+", str(rule["source_matchers"]))
    }
    assert causes - (INHIBITED | OF_ANY_SOURCE).keys() == {
        "OnhandFeedStale", "OnhandFeedDegraded", "OnhandCatalogDrift", "OnhandSnapshotStuck"
    }  # fmt: skip


class Fired:
    """Alerts posted to Alertmanager as Prometheus would, until they are ended."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v2/alerts"
        self._posted: list[dict[str, str]] = []

    def fire(self, name: str, source: str) -> None:
        labels = {"alertname": name, "source": source, **LABELS[name]}
        self._posted.append(labels)
        self._post([labels], timedelta(hours=1))

    def end(self) -> None:
        self._post(self._posted, timedelta(seconds=-1))

    def _post(self, alerts: list[dict[str, str]], left: timedelta) -> None:
        now = datetime.now(UTC)
        times = {"startsAt": (now - timedelta(minutes=1)).isoformat(), "endsAt": (now + left).isoformat()}
        requests.post(self._url, json=[{"labels": x, **times} for x in alerts], timeout=10).raise_for_status()

    def state(self, name: str, source: str) -> str:
        filters = {"filter": [f'alertname="{name}"', f'source="{source}"']}
        found = requests.get(self._url, params=filters, timeout=10).json()
        return found[0]["status"]["state"] if found else ""


@pytest.mark.parametrize("cause", [*INHIBITED, *OF_ANY_SOURCE])
def test_one_alert_says_what_is_wrong_and_those_that_follow_are_silent(servers: Stack, cause: str) -> None:
    servers.start("alertmanager")
    fired = Fired(servers.alertmanager.url)
    follow = (INHIBITED | OF_ANY_SOURCE)[cause]
    elsewhere = "suppressed" if cause in OF_ANY_SOURCE else "active"
    try:
        for name in follow:
            fired.fire(name, cause)
            fired.fire(name, f"{cause} {name}")  # a source of its own, as those that follow may silence each other
        fired.fire(cause, cause)
        for name in follow:
            wait_for(lambda name=name: fired.state(name, cause) == "suppressed", f"{name} is silent")
            wait_for(lambda name=name: fired.state(name, f"{cause} {name}") == elsewhere, f"{name} is {elsewhere}")
        assert fired.state(cause, cause) == "active"
    finally:
        fired.end()
