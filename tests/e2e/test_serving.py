"""What readers find in Redis, and what proves it."""

import json

import pytest
import requests

from pipeline.adapters import sources
from pipeline.settings import Kafka
from tests.e2e.source import Source, wait_for

pytestmark = pytest.mark.usefixtures("nothing_is_mended_unasked")


def test_a_level_says_its_numbers_and_its_age(source: Source) -> None:
    source.sql.execute("UPDATE quant SET reserved = 20, quantity = 12.5 WHERE id = 100002")
    source.wait_until_served()
    level = source.redis.hgetall(f"{source.prefix}:{{PAIR}}:W1")
    numbers = {n: level[n] for n in ("on_hand", "usable", "reserved", "available")}
    assert numbers == {"on_hand": "12.5000", "usable": "12.5000", "reserved": "20.0000", "available": "-7.5000"}
    assert level["changed"] <= source.meta()["as_of"]
    assert len(level["v"]) == len("1795000000.0000000000000001")


def test_negative_available_is_an_alert_until_it_ends(source: Source) -> None:
    source.sql.execute("UPDATE quant SET reserved = 20, quantity = 12.5 WHERE id = 100002")
    source.wait_until_served()
    (alert,) = [json.loads(held) for held in source.redis.hvals(f"{source.prefix}:alerts")]
    assert alert["id"].rpartition("/")[0] == "negative_available/PAIR/W1"
    assert (alert["state"], alert["available"], alert["item"], alert["warehouse"]) == ("open", "-7.5000", "PAIR", "W1")
    assert source.redis.zscore(f"{source.prefix}:negative", f"{source.prefix}:{{PAIR}}:W1") == -7.5
    source.sql.execute("UPDATE quant SET reserved = 0 WHERE id = 100002")
    source.wait_until_served()
    assert source.redis.hgetall(f"{source.prefix}:alerts") == {}
    assert source.redis.zscore(f"{source.prefix}:negative", f"{source.prefix}:{{PAIR}}:W1") is None


def test_a_vanished_level_stays_as_zeros_that_expire(source: Source) -> None:
    source.sql.execute(
        "INSERT INTO item VALUES (2000, 'BRIEF'); INSERT INTO quant VALUES (200000, 2000, 1, NULL, 5, 0)"
    )
    source.wait_until_served()
    assert source.on_hand("BRIEF", "W2") == "5.0000"
    source.sql.execute("DELETE FROM quant WHERE id = 200000")
    source.wait_until_served()
    gone = source.redis.hgetall(f"{source.prefix}:{{BRIEF}}:W2")
    assert (gone["on_hand"], gone["deleted"]) == ("0", "1")
    assert 0 < source.redis.ttl(f"{source.prefix}:{{BRIEF}}:W2") <= 7 * 86400
    assert "BRIEF" not in {d["item"] for d in source.documents()}
    source.sql.execute("INSERT INTO quant VALUES (200001, 2000, 1, NULL, 7, 0)")
    source.wait_until_served()
    assert "deleted" not in source.redis.hgetall(f"{source.prefix}:{{BRIEF}}:W2")
    assert source.redis.ttl(f"{source.prefix}:{{BRIEF}}:W2") == -1


def test_only_captured_columns_leave_the_erp_and_no_secret_is_written_down(source: Source) -> None:
    source.sql.execute("UPDATE quant SET secret_price = 987654.32 WHERE id = 5")
    source.wait_until_served()
    texts = [log.read_text(errors="replace") for log in source.stack.logs.values() if log.exists()]
    topics = [
        p.read_bytes()
        for p in source.stack.directory.rglob("*.log")
        if p.parent.name.startswith(f"onhand.{source.name}")
    ]
    assert topics
    assert not any("not-in-any-log" in text for text in [*texts, source.tail()])
    assert not any(b"987654" in data or b"not-in-any-log" in data for data in topics)


def test_verify_names_a_value_changed_by_hand_in_redis(source: Source) -> None:
    source.wait_until_served()
    key = f"{source.prefix}:{{PROBE}}:W1"
    held = source.redis.hget(key, "on_hand")
    source.redis.hset(key, "on_hand", "4711")
    done = source.onhand("verify")
    assert done.returncode == 10, done.stderr
    assert key in done.stdout
    assert "4711" in done.stdout
    assert done.stdout.strip().splitlines()[-1].endswith(", 1 differ")
    source.redis.hset(key, "on_hand", held)
    source.verify()


def test_verify_names_what_changed_while_capture_was_cut_off(source: Source) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/pause", timeout=10).raise_for_status()
    wait_for(lambda: requests.get(f"{connector}/status", timeout=10).json()["tasks"][0]["state"] == "PAUSED", "paused")
    source.sql.execute("UPDATE quant SET quantity = quantity + 3 WHERE id = 100001")
    done = source.onhand("verify", "--timeout", "3s")
    assert done.returncode == 10, done.stderr
    assert f"{source.prefix}:{{PROBE}}:W1" in done.stdout
    assert "behind" in done.stderr
    requests.put(f"{connector}/resume", timeout=10).raise_for_status()
    source.wait_until_served()
    source.verify()


def test_truncate_empties_what_it_should(source: Source) -> None:
    source.sql.execute("CREATE TABLE kept AS SELECT * FROM quant WHERE id > 100000")
    source.sql.execute("TRUNCATE quant")
    source.wait_until_served()
    assert source.documents() == []
    source.sql.execute("INSERT INTO quant SELECT * FROM kept")
    source.wait_until_served()
    source.verify()
    broker = Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    swept = sources.load_swept(broker, source.name, sources.load_applied(broker, source.name).epoch)
    assert swept.keys() == {"public.quant"}, "noted beside the log, for when compaction has taken the record"
    source.kill_worker()
    source.start_worker()
    source.verify()
