"""Everything that is watched, at once: the real servers, their exporters, Prometheus, Alertmanager, and who is told."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from infra.stack import Stack
from tests.e2e.source import ONHAND, Source, wait_for
from tests.infra.rules import LABELS, RULES, metrics_of

OURS = '{__name__=~"(onhand|debezium|kafka_connect)_.+"}'
NAME = "monitoring"


class Told:
    """What Alertmanager sent to the receivers: (receiver, alert, status), oldest first."""

    def __init__(self, port: int) -> None:
        self.heard = heard = list[tuple[str, dict[str, Any]]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.extend((self.path.strip("/"), alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def of(self, alert: str, status: str, source: str = "") -> list[str]:
        """Who was told."""
        found = [
            who
            for who, each in self.heard
            if (each["labels"]["alertname"], each["status"]) == (alert, status)
            and each["labels"].get("source", "") == source
        ]
        return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def told(stack: Stack) -> Iterator[Told]:
    told = Told(stack.alertmanager.receivers_port)
    stack.start("alertmanager", "redis-exporter")
    yield told
    told.close()


@pytest.fixture(scope="module")
def source(stack: Stack, told: Told) -> Iterator[Source]:
    """A source whose worker and verify serve their metrics where the stack's Prometheus looks for them."""
    source = Source(stack, NAME)
    source.config.write_text(
        source.config.read_text().replace("metrics_port = 0", f"metrics_port = {stack.metrics_port}")
    )
    with source.attached():
        every = ("verify", "--every", "2s", "--metrics-port", str(stack.verify_port))
        with (source.directory / "verify.log").open("ab") as log:
            verify = subprocess.Popen([ONHAND, "--config", str(source.config), *every], stdout=log, stderr=log)
        yield source
        verify.terminate()
        verify.wait(20)


def api(stack: Stack, path: str, **asked: str) -> Any:
    return requests.get(f"{stack.prometheus.url}/api/v1/{path}", params=asked, timeout=10).json()["data"]


def names_now(stack: Stack) -> set[str]:
    """The metrics that have a value now."""
    everything = api(stack, "query", query='count by (__name__) ({__name__!=""})')["result"]
    return {each["metric"]["__name__"] for each in everything}


def test_every_metric_named_in_a_rule_is_scraped(stack: Stack, source: Source) -> None:
    named = set().union(*map(metrics_of, RULES))
    assert len(named) > 30
    wait_for(lambda: named <= names_now(stack), f"all of these: {named}", 180)
    assert {t["labels"]["job"] for t in api(stack, "targets")["activeTargets"] if t["health"] == "up"} == {
        "onhand", "onhand-verify", "onhand-connect", "onhand-redis", "prometheus"
    }  # fmt: skip


def test_every_rule_can_be_evaluated(stack: Stack, source: Source) -> None:
    def healths() -> set[str]:
        return {rule["health"] for group in api(stack, "rules")["groups"] for rule in group["rules"]}

    wait_for(lambda: healths() == {"ok"}, "every rule evaluated without an error")


def test_metrics_follow_the_conventions_and_have_bounded_labels(stack: Stack, source: Source) -> None:
    wait_for(lambda: "debezium_streaming_connected" in names_now(stack), "Debezium's metrics")
    ours = {t["labels"]["job"]: t["scrapeUrl"] for t in api(stack, "targets")["activeTargets"]}
    for job in ("onhand", "onhand-verify", "onhand-connect"):
        scraped = requests.get(ours[job], timeout=10).text
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=scraped, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), job
    assert set(api(stack, "labels", **{"match[]": OURS})) <= LABELS | {"__name__"}


def test_what_is_counted_is_so(stack: Stack, source: Source) -> None:
    def value(query: str) -> float | None:
        found = api(stack, "query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    source.sql.execute("UPDATE quant SET quantity = -5 WHERE id = 100001")
    ours = f'{{source="{NAME}"}}'
    wait_for(lambda: value(f"onhand_negative_on_hand_levels{ours}") == 1, "the level below zero")
    source.sql.execute("UPDATE quant SET quantity = 5 WHERE id = 100001")
    wait_for(lambda: value(f"onhand_negative_on_hand_levels{ours}") == 0, "none any more")
    assert value(f"onhand_log_disk_free_bytes{ours} < onhand_log_disk_bytes{ours} and onhand_log_size_bytes{ours} > 0")
    assert value(f"onhand_slot_remaining_bytes{ours}") == float("inf")
    assert value(f"abs(time() - onhand_heartbeat_timestamp_seconds{ours}) < 30") is not None


def test_the_watchdog_is_heard(told: Told, source: Source) -> None:
    wait_for(lambda: told.of("OnhandWatchdog", "firing") == ["dead-mans-switch"], "the watchdog", 120)


def silent(stack: Stack, alert: str) -> Callable[[], bool]:
    def ask() -> bool:
        filters = {"filter": [f'alertname="{alert}"', f'source="{NAME}"']}
        found = requests.get(f"{stack.alertmanager.url}/api/v2/alerts", params=filters, timeout=10).json()
        return [each["status"]["state"] for each in found] == ["suppressed"]

    return ask


def test_a_worker_that_is_killed_is_told_once_and_over_when_it_is_back(
    stack: Stack, source: Source, told: Told
) -> None:
    wait_for(
        lambda: api(stack, "query", query=f'instance:onhand_source:last1d{{source="{NAME}"}}')["result"], "seen once"
    )
    source.kill_worker()
    wait_for(lambda: told.of("OnhandWorkerDown", "firing", NAME) == ["on-call"], "told", 180)
    wait_for(silent(stack, "OnhandFeedStale"), "the age of the feed is known, and not told", 180)
    assert told.of("OnhandFeedStale", "firing", NAME) == []
    source.start_worker()
    wait_for(lambda: told.of("OnhandWorkerDown", "resolved", NAME) == ["on-call"], "told that it is over", 180)
    source.wait_until_served()


def test_redis_that_is_gone_is_told_once_and_over_when_it_is_back(stack: Stack, source: Source, told: Told) -> None:
    stack.kill("redis")
    try:
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        wait_for(lambda: told.of("OnhandRedisDown", "firing") == ["on-call"], "told", 180)
        wait_for(silent(stack, "OnhandRedisWaiting"), "the worker waits, and that is not told", 180)
    finally:
        stack.start("redis")
    wait_for(lambda: told.of("OnhandRedisDown", "resolved") == ["on-call"], "told that it is over", 180)
    source.wait_until_served()
