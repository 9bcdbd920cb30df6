"""`onhand verify` under load and on planted faults: no false alarm, no fault missed, each named by its layer."""

import json
import re
import subprocess
import urllib.request

import pytest
import requests

from tests.e2e.load import Writers
from tests.e2e.source import ONHAND, Source, wait_for

pytestmark = pytest.mark.usefixtures("nothing_is_mended_unasked")
PROBE = "{PROBE}:W1"


def coverage(stderr: str) -> float:
    return float(re.search(r"coverage: ([\d.]+) % of \d+ keys", stderr)[1])


def plant(source: Source, key: str, **fields: str) -> dict[str, str]:
    """Write into Redis by hand; what stood there."""
    held = source.redis.hgetall(f"{source.prefix}:{key}")
    source.redis.hset(f"{source.prefix}:{key}", mapping=fields)
    return held


def differing(done: subprocess.CompletedProcess[str]) -> dict[str, set[str]]:
    assert done.returncode == 10, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    return {row["key"].partition(":")[2]: {r["differs"] for r in rows if r["key"] == row["key"]} for row in rows}


def test_under_load_from_several_writers_nothing_false_and_nearly_all_compared(source: Source) -> None:
    with Writers(source, count=4) as writers:
        wait_for(lambda: writers.transactions > 100, "writers at work")
        done = source.onhand("verify", "--timeout", "5s")
        assert done.returncode == 0, done.stdout + done.stderr
        # the probe and the pair are written by every transaction
        assert coverage(done.stderr) > 95, done.stderr
        assert "the feed is behind" not in done.stderr
        assert writers.transactions > 200
    source.wait_until_served()
    done = source.onhand("verify")
    assert coverage(done.stderr) == 100
    assert re.fullmatch(r"verify: verify: \d{3,} keys compared at [0-9A-F]+/[0-9A-F]+, 0 differ", done.stdout.strip())


def test_one_item_is_compared_alone(source: Source) -> None:
    source.wait_until_served()
    done = source.onhand("verify", "--item", "PAIR")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verify: verify: 5 keys compared at ")
    plant(source, PROBE, on_hand="4711")
    assert source.onhand("verify", "--item", "PAIR").returncode == 0
    done = source.onhand("verify", "--item", "PROBE", "-o", "json")
    assert differing(done) == {PROBE: {"levels against Redis"}}
    unknown = source.onhand("verify", "--item", "NO-SUCH")
    assert (unknown.returncode, "knows item 'NO-SUCH'" in unknown.stderr) == (2, True)


def test_items_that_share_a_code_or_have_none(source: Source) -> None:
    source.sql.execute("""INSERT INTO item VALUES (3001, 'TWICE'), (3002, 'TWICE'), (3003, NULL);
      INSERT INTO quant (id, item_id, location_id, quantity)
        VALUES (300001, 3001, 1, 1), (300002, 3002, 1, 2), (300003, 3003, 1, 3)""")
    source.wait_until_served()
    for typed, keys in (("TWICE", 6), ("TWICE~3002", 3), ("~3003", 3)):  # detail, level, item of each
        done = source.onhand("verify", "--item", typed)
        assert f" {keys} keys compared" in done.stdout, done.stdout + done.stderr
        assert done.returncode == 0


def test_a_sample_is_some_of_the_items(source: Source) -> None:
    source.wait_until_served()
    done = source.onhand("verify", "--sample", "10%")
    keys = int(re.search(r"(\d+) keys compared", done.stdout)[1])
    assert 0 < keys < len(source.redis.keys(f"{source.prefix}:{{*")) / 3
    whole = source.onhand("verify", "--sample", "100%", "-o", "json")
    assert differing(whole) == {PROBE: {"levels against Redis"}}  # planted above


def test_repair_has_the_worker_mend_them(source: Source) -> None:
    plant(source, "{PAIR}:W3", on_hand="1", v="9999999999.9999999999999999")
    source.redis.hset(f"{source.prefix}:{{GHOST}}:W1", mapping={"on_hand": "5", "v": "1"})
    lost = next(d["key"] for d in source.documents() if d["item"].startswith("I7"))
    source.redis.delete(lost)
    done = source.onhand("verify", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "repair: 4 keys are put before the worker" in done.stderr
    assert done.stdout.count("mended") >= 4
    assert lost in done.stdout
    assert done.stdout.strip().endswith(", 0 differ")
    source.verify()


def test_what_the_log_lacks_is_named_and_no_repair_is_claimed(source: Source) -> None:
    connector = f"{source.stack.connect.url}/connectors/onhand-{source.name}"
    requests.put(f"{connector}/pause", timeout=10).raise_for_status()
    wait_for(lambda: requests.get(f"{connector}/status", timeout=10).json()["tasks"][0]["state"] == "PAUSED", "paused")
    source.sql.execute("UPDATE quant SET quantity = quantity + 3 WHERE id = 100001")
    done = source.onhand("verify", "--timeout", "1s", "--repair", "-o", "json")
    assert differing(done).keys() == {PROBE, "{PROBE}", "{PROBE}:W1:location=L3"}
    assert all(layers == {"the ERP against the rows remembered"} for layers in differing(done).values())
    assert "the feed is behind" in done.stderr
    assert "onhand apply --snapshot verify" in done.stderr
    requests.put(f"{connector}/resume", timeout=10).raise_for_status()
    source.wait_until_served()
    source.verify()


def test_again_and_again_with_metrics(source: Source) -> None:
    command = [
        ONHAND,
        "--config",
        str(source.config),
        "verify",
        "--every",
        "200ms",
        "--sample",
        "50%",
        "--metrics-port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+/metrics", process.stderr.readline())[0]
        lines = [process.stdout.readline() for _ in range(3)]
        assert all(line.endswith(", 0 differ\n") for line in lines)
        metrics = urllib.request.urlopen(url, timeout=5).read().decode()
        assert 'onhand_verify_differing_keys{source="verify"} 0.0' in metrics
        assert 'onhand_verify_coverage_ratio{source="verify"} 1.0' in metrics
        assert 'onhand_verify_interval_seconds{source="verify"} 0.2' in metrics
    finally:
        process.terminate()
        process.communicate(timeout=10)
