"""Alerts on the real servers: over kills of the worker they are those that SQL finds in the ERP's own history."""

import json
import random
from collections import defaultdict

import pytest

from pipeline.adapters import kafka
from pipeline.domain.alerts import Alert
from pipeline.settings import Kafka
from tests.e2e.source import Source, wait_for

TRANSACTIONS, KILLS, ITEMS = 1500, 3, 8
RULES = """
[negative_available]
when = "available < 0 AND NOT (warehouse IN ('W3'))"
[low]
scope = "level"
when = "on_hand < 30000"
severity = "info"
department = "仓库"
"""
# what each transaction left, written down by itself: no table of the pack, so it is not captured
SEEN = "CREATE TABLE seen (n int, item text, warehouse text, on_hand numeric, available numeric)"
SEE = """INSERT INTO seen SELECT %s, i.code, w.code, SUM(q.quantity), SUM(q.quantity - COALESCE(q.reserved, 0))
         FROM quant q JOIN item i ON i.id = q.item_id JOIN location l ON l.id = q.location_id
         JOIN warehouse w ON w.id = l.warehouse_id WHERE l.usage = 'internal' AND i.id <= %s GROUP BY 2, 3"""
EPISODES = """SELECT item, warehouse, {figure}::text, holds FROM (
                SELECT *, LAG(holds, 1, false) OVER (PARTITION BY item, warehouse ORDER BY n) AS before FROM (
                  SELECT *, {when} AS holds FROM seen) s) t
              WHERE holds <> before ORDER BY n"""
Seen = dict[tuple[str, str], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def ruled(source: Source) -> Source:
    """The source with rules of its own, and a history written while its worker is killed again and again."""
    assert source.stop_worker() == 0
    (source.directory / "alerts.toml").write_text(RULES)
    source.write_config(source.pack, source='alerts = "alerts.toml"')
    source.start_worker()
    rng = random.Random(7)
    source.sql.execute(SEEN)
    source.sql.execute("UPDATE quant SET quantity = 20000, reserved = 0 WHERE item_id <= %s", (ITEMS,))
    for n in range(TRANSACTIONS):
        with source.sql.transaction():
            for _ in range(rng.randint(1, 3)):
                of = rng.randint(1, ITEMS), rng.randint(0, 14)
                amounts = rng.randint(-10_000, 30_000), rng.choice((0, 0, 0, 9_000, 40_000))
                source.sql.execute(
                    "UPDATE quant SET quantity = %s, reserved = %s WHERE id ="
                    " (SELECT id FROM quant WHERE item_id = %s ORDER BY id OFFSET %s LIMIT 1)", (*amounts, *of),
                )  # fmt: skip
            source.sql.execute(SEE, (n, ITEMS))
        if n % (TRANSACTIONS // (KILLS + 1)) == TRANSACTIONS // (KILLS + 2):
            source.kill_worker()
            source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", "live again")
    source.wait_until_served()
    return source


def _told(source: Source, kind: str) -> tuple[Seen, dict[str, Alert]]:
    """By item and warehouse: what changed, with the figure told; and the last state by id."""
    first: dict[tuple[str, str], Alert] = {}

    def take(record: object) -> None:
        alert = Alert.from_dict(json.loads(record.value))  # type: ignore[attr-defined]
        if alert.kind == kind:
            first.setdefault((alert.id, alert.state), alert)

    kafka.replay(Kafka(bootstrap_servers=source.stack.kafka.bootstrap), f"onhand.{source.name}.alerts", take)
    seen: Seen = defaultdict(list)
    figure = "available" if kind == "negative_available" else "on_hand"
    ordered = sorted(first.values(), key=lambda a: (int(a.position.partition("/")[2], 16), a.state))
    for alert in ordered:
        if alert.state != "updated":
            seen[alert.facts["item"], alert.facts["warehouse"]].append((alert.state, alert.facts[figure]))
    return seen, {alert.id: alert for alert in ordered}


@pytest.mark.parametrize(
    ("kind", "figure", "when"),
    [
        ("negative_available", "available", "available < 0 AND warehouse <> 'W3'"),
        ("negative_on_hand", "on_hand", "on_hand < 0"),
        ("low", "on_hand", "on_hand < 30000"),
    ],
)
def test_what_is_told_is_what_the_erp_went_through(ruled: Source, kind: str, figure: str, when: str) -> None:
    wanted: Seen = defaultdict(list)
    for item, warehouse, amount, holds in ruled.sql.execute(EPISODES.format(figure=figure, when=when)).fetchall():  # type: ignore[arg-type]
        wanted[item, warehouse].append(("open" if holds else "resolved", amount))
    told, _ = _told(ruled, kind)
    assert sum(len(events) for events in wanted.values()) > 20
    assert told == wanted


def test_who_took_note_is_shown_and_outlives_the_worker(ruled: Source) -> None:
    def listed() -> list[dict[str, str]]:
        return json.loads(ruled.onhand("alerts", "list", "--kind", "low", "-o", "json").stdout)

    ruled.sql.execute("UPDATE quant SET quantity = 0 WHERE item_id = 1")
    ruled.wait_until_served()
    alert = next(a for a in listed() if a.get("item") == "I1")
    assert (alert["severity"], alert["department"], alert["acked"]) == ("info", "仓库", None)
    stem = alert["id"].rpartition("/")[0]
    done = ruled.onhand("alerts", "ack", stem, "--note", "counted again on Friday")
    assert (done.returncode, done.stdout) == (0, "")
    ruled.kill_worker()
    ruled.start_worker()
    wait_for(lambda: ruled.meta().get("state") == "live", "live again")
    ruled.wait_until_served()
    after = next(a for a in listed() if a.get("item") == "I1")
    assert (after["id"], after["note"]) == (alert["id"], "counted again on Friday")
    assert after["by"]
    assert after["acked"]
    shown = json.loads(ruled.onhand("alerts", "show", alert["id"], "-o", "json").stdout)
    assert (shown[0]["when"], shown[0]["note"]) == ("on_hand < 30000", "counted again on Friday")
    nobody = ruled.onhand("alerts", "ack", "low/NOBODY/W1")
    assert nobody.returncode == 2
    assert f"fix: onhand alerts list {ruled.name}" in nobody.stderr
