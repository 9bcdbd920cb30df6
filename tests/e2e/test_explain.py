"""`onhand explain`: the rows of the ERP behind a number, of balances and of a two-sided ledger."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from infra.stack import Stack
from pipeline.cli.main import app
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for

pytestmark = pytest.mark.usefixtures("nothing_is_mended_unasked")
LEDGER = Path(__file__).parent / "ledger"


def explain(source: Source, *arguments: str) -> dict[str, Any]:
    """The command in this process: its start takes longer than all it does."""
    done = CliRunner().invoke(app, ["--config", str(source.config), "explain", *arguments, "-o", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def total(rows: list[dict[str, str]], amount: str) -> Decimal:
    return sum((Decimal(row[amount]) for row in rows), Decimal(0))


def assert_adds_up(source: Source, item: str, warehouse: str) -> list[dict[str, str]]:
    """The rows add up to what is served; returns them."""
    found = explain(source, item, warehouse)
    assert found["equal"] is True
    served = source.redis.hgetall(found["key"])
    for amount in ("on_hand", "reserved"):
        assert total(found["rows"], amount) == Decimal(served[amount]) == Decimal(found["sum"][amount]), found
    return found["rows"]


def test_balances_add_up_with_their_keys_and_times(source: Source) -> None:
    source.sql.execute("UPDATE quant SET quantity = 41.5, reserved = 2 WHERE id = 100003")
    source.wait_until_served()
    (row,) = assert_adds_up(source, "PAIR", "W3")
    assert (row["table"], row["key"], row["location"]) == ("public.quant", "id=100003", "L2")
    assert (row["on_hand"], row["reserved"]) == ("41.5000", "2.0000")
    changed = source.redis.hget(f"{source.prefix}:{{PAIR}}:W3", "changed")
    assert row["committed"] == changed
    high, low = row["position"].split("/")
    assert 0 < int(high, 16) << 32 | int(low, 16) <= source.position()
    for item in ("I3", "I152"):
        warehouses = [n for n in source.redis.hgetall(f"{source.prefix}:{{{item}}}") if n.startswith("w:")]
        assert warehouses
        assert all(assert_adds_up(source, item, n[2:]) for n in warehouses)
    table = source.onhand("explain", "I3", warehouses[0][2:], "--limit", "2")
    assert "rows more" in table.stdout
    assert table.stdout.strip().splitlines()[-1].startswith("explain: I3 in W")


def test_while_stock_moves_the_sum_is_of_one_moment(source: Source) -> None:
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 50, "writers at work")
        source.sql.execute("INSERT INTO item VALUES (5001, 'CALM')")
        source.sql.execute("INSERT INTO quant (id, item_id, location_id, quantity) VALUES (500001, 5001, 3, 8.5)")
        found = explain(source, "CALM", "W1")
        assert (found["equal"], found["sum"]["on_hand"]) == (True, "8.5000")
        # written by every transaction: it may never stand still, and is then not called different
        busy = source.onhand("explain", "PROBE", "W1", "--timeout", "1s")
        assert busy.returncode == 0 or (busy.returncode == 1 and "kept changing" in busy.stderr), busy.stderr
    source.wait_until_served()
    assert_adds_up(source, "PROBE", "W1")


def test_what_does_not_add_up_is_said(source: Source) -> None:
    key = f"{source.prefix}:{{PAIR}}:W3"
    held = source.redis.hget(key, "on_hand")
    source.redis.hset(key, "on_hand", "4711")
    done = source.onhand("explain", "PAIR", "W3")
    assert done.returncode == 10
    assert "served is on_hand 4711" in done.stderr
    assert "onhand verify explain --item PAIR" in done.stderr
    assert "id=100003" in done.stdout
    source.redis.hset(key, "on_hand", held)
    assert_adds_up(source, "PAIR", "W3")


def test_what_is_not_there(source: Source) -> None:
    source.wait_until_served()
    for arguments, says in ((("NO-SUCH", "W1"), "knows item 'NO-SUCH'"), (("PAIR", "W9"), "it has stock in W1, W3")):
        done = source.onhand("explain", *arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        assert says in done.stderr


def test_a_feed_that_is_behind_is_told(source: Source) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/pause", timeout=10).raise_for_status()
    wait_for(lambda: requests.get(f"{connector}/status", timeout=10).json()["tasks"][0]["state"] == "PAUSED", "paused")
    source.sql.execute("UPDATE quant SET quantity = quantity + 3 WHERE id = 100003")
    done = source.onhand("explain", "PAIR", "W3", "--timeout", "500ms")
    assert done.returncode == 10
    assert "the feed is behind" in done.stderr
    requests.put(f"{connector}/resume", timeout=10).raise_for_status()
    source.wait_until_served()
    assert_adds_up(source, "PAIR", "W3")


@pytest.fixture
def ledger(stack: Stack) -> Any:
    """Stock as the sum of moves between locations, documents in a table of their own."""
    source = Source(stack, "ledger", str(LEDGER), LEDGER / "schema.sql")
    with source.attached():
        yield source


def test_a_ledger_adds_up_from_both_sides_with_document_numbers(ledger: Source) -> None:
    ledger.sql.execute("INSERT INTO move VALUES (900, 1, 2, 3, 7.25, 'done', 5), (901, 1, 3, 1, 1.25, 'assigned', 6)")
    ledger.wait_until_served()
    rows = assert_adds_up(ledger, "P1", "A")
    assert len(rows) > 10
    by_key = {(row["key"], row["on_hand"], row["reserved"]): row for row in rows}
    assert by_key["id=900", "-7.25", "0"]["document"] == "DOC-5"
    assert by_key["id=900", "-7.25", "0"]["committed"] > "2026"
    rows = assert_adds_up(ledger, "P1", "B")
    assert {(r["on_hand"], r.get("document")) for r in rows if r["key"] == "id=900"} == {("7.25", "DOC-5")}
    assert {r["reserved"] for r in rows if r["key"] == "id=901"} == {"1.25"}
    for item in ("P2", "P3"):
        assert_adds_up(ledger, item, "A")
    done = ledger.onhand("verify", "--item", "P1")
    assert done.returncode == 0, done.stdout + done.stderr
