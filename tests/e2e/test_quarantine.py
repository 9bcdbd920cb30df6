"""Rows that cannot be read, on the real servers: the worker goes on, their keys say so, and each way back is walked."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.load import Writers
from tests.e2e.source import HERE, Source, wait_for
from tests.e2e.test_worker import served

ITEM, ROW = 4001, 400001
KEYS = ("{ODD}", "{ODD}:W2", "{ODD}:W2:location=L1")


@pytest.fixture(scope="module", autouse=True)
def odd(source: Source) -> None:
    """A row that no writer touches."""
    source.sql.execute(f"INSERT INTO item VALUES ({ITEM}, 'ODD')")
    source.sql.execute(f"INSERT INTO quant VALUES ({ROW}, {ITEM}, 1, NULL, 5, 0)")
    source.wait_until_served()


def degraded(source: Source) -> set[str]:
    return {key.partition(":")[2] for key, fields in served(source).items() if "degraded" in fields}


def live(source: Source) -> dict[str, dict[str, str]]:
    return {key: fields for key, fields in served(source).items() if "deleted" not in fields}


def retype(source: Source, type_: str) -> None:
    """As the database's administrator must do it: PostgreSQL refuses to retype a published column."""
    columns = "id, item_id, location_id, lot, quantity, reserved"
    source.sql.execute(f"""BEGIN; ALTER PUBLICATION onhand DROP TABLE quant;
      ALTER TABLE quant ALTER quantity TYPE {type_};
      ALTER PUBLICATION onhand ADD TABLE quant ({columns}); COMMIT""")


def listed(source: Source, *options: str) -> list[dict[str, Any]]:
    done = source.onhand("quarantine", "list", *options, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def state(source: Source) -> tuple[str, str]:
    meta = source.meta()
    return meta["state"], meta["quarantined"]


def wait_for_state(source: Source, state_: str, rows: int) -> None:
    # the ERP's catalog, which is looked at every half minute, has its say too
    wait_for(lambda: state(source) == (state_, str(rows)), f"{state_} with {rows} rows, not {state(source)}", 120)


def put(source: Source, key: bytes, value: bytes) -> None:
    """Write into the log by hand."""

    async def write() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=source.stack.kafka.bootstrap, max_request_size=8_000_000, enable_idempotence=True
        )
        await producer.start()
        await producer.send_and_wait(f"onhand.{source.name}.log", value, key=key, partition=0)
        await producer.stop()

    asyncio.run(write())


def key_of(source: Source, pk: int) -> bytes:
    table = f"onhand.{source.name}.public.quant"
    return b'{"row":{"id":%d,"__dbz__physicalTableIdentifier":"%s"}}' % (pk, table.encode())


def row(**columns: Any) -> dict[str, Any]:
    return {"id": ROW, "item_id": ITEM, "location_id": 1, "lot": None, "quantity": "6.0000", "reserved": None} | columns


def restart(source: Source) -> None:
    """Killed, with an empty Redis: everything comes from the log and what stands beside it."""
    source.kill_worker()
    source.redis.delete(*source.redis.keys(f"{source.prefix}:*"))
    source.start_worker()
    wait_for(lambda: source.meta().get("v"), "projected anew")
    source.wait_until_served()


def test_nan_under_load_degrades_its_keys_only_until_it_is_mended(source: Source) -> None:
    probe = f"{source.prefix}:{{PROBE}}:W1"
    with Writers(source) as writers:
        source.sql.execute("UPDATE quant SET quantity = 'NaN' WHERE id = %s", (ROW,))
        wait_for(lambda: degraded(source) == set(KEYS), "its keys are degraded")
        assert state(source) == ("live", "1")
        assert source.on_hand("ODD", "W2") == "5.0000"
        before, seen = source.redis.hget(probe, "v"), writers.transactions
        wait_for(lambda: writers.transactions > seen + 100, "writers go on")
        wait_for(lambda: source.redis.hget(probe, "v") > before, "other keys go on")
        assert degraded(source) == set(KEYS)
    source.wait_until_served()
    done = source.onhand("verify", "-o", "json")
    assert done.returncode == 10, done.stderr
    assert {(r["key"].partition(":")[2], r["differs"]) for r in json.loads(done.stdout)} == {
        (key, "quarantined row") for key in KEYS
    }
    (line,) = listed(source)
    assert (line["table"], line["reason"]) == ("public.quant", "public.quant.quantity: not a finite number")
    assert {key.partition(":")[2] for key in line["keys"]} == set(KEYS)
    shown = json.loads(source.onhand("quarantine", "show", str(line["id"]), "-o", "json").stdout)
    assert (shown["before"]["quantity"], json.loads(shown["value"])["after"]["quantity"]) == ("5.0000", "NAN")
    status = source.onhand("status")
    assert (status.returncode, f"onhand quarantine list {source.name}" in status.stderr) == (10, True)
    source.sql.execute("UPDATE quant SET quantity = 5 WHERE id = %s", (ROW,))
    wait_for(lambda: not degraded(source), "right again")
    source.wait_until_served()
    assert (state(source), listed(source)) == (("live", "0"), [])
    source.verify()


BAD = {
    "bad JSON": b"{",
    "no such op": json.dumps({"op": "x", "after": row()}).encode(),
    "missing fields": json.dumps({"op": "u", "after": {"id": ROW, "quantity": "1"}}).encode(),
    "5 MB": json.dumps({"op": "u", "after": row(quantity="9" * 5_000_000)}).encode(),
    "a text in the item column": json.dumps({"op": "u", "after": row(item_id="bolt")}).encode(),
}
KNOWN = {"no such op", "5 MB"}


@pytest.mark.parametrize("kind", BAD)
def test_what_somebody_wrote_into_the_log_is_read_again_from_the_erp(source: Source, kind: str) -> None:
    put(source, key_of(source, ROW), BAD[kind])
    wait_for_state(source, "live" if kind in KNOWN else "degraded", 1)
    assert degraded(source) == set(KEYS)
    assert source.on_hand("ODD", "W2") == "5.0000"
    before = live(source)
    restart(source)
    assert (live(source), state(source)) == (before, ("live" if kind in KNOWN else "degraded", "1"))
    (line,) = listed(source)
    if kind == "5 MB":
        shown = source.onhand("quarantine", "show", str(line["id"]))
        assert "the first 65536 of 5000" in "".join(shown.stdout.split("\n")), shown.stdout[-300:]
    done = source.onhand("quarantine", "replay", str(line["id"]))
    assert (done.returncode, "right" in done.stdout) == (0, True), done.stdout + done.stderr
    wait_for_state(source, "live", 0)
    assert degraded(source) == set()
    source.verify()


def test_what_is_no_row_of_the_erp_is_dropped_with_a_trace(source: Source) -> None:
    put(source, b"whose key is this?", b"nobody's")
    wait_for_state(source, "degraded", 1)
    (line,) = listed(source)
    assert line["table"] == "unknown"
    done = source.onhand("quarantine", "replay", "--timeout", "1")
    assert (done.returncode, "not read again" in done.stdout) == (10, True)
    done = source.onhand("quarantine", "drop", str(line["id"]), "--reason", "a test wrote it")
    assert done.returncode == 0, done.stderr
    wait_for_state(source, "live", 0)
    assert listed(source) == []
    restart(source)
    assert state(source) == ("live", "0")
    (trace,) = listed(source, "--all")
    assert (trace["id"], trace["because"]) == (line["id"], "a test wrote it")
    assert source.onhand("quarantine", "drop", str(line["id"]), "--reason", "again").returncode == 2
    source.verify()


@pytest.mark.long
def test_a_column_that_was_retyped_does_not_stop_the_worker(source: Source) -> None:
    rows = source.sql.execute("SELECT count(*) FROM quant").fetchone()[0]
    assert rows > 2000
    before = live(source)
    retype(source, "text USING quantity || ' pcs'")
    source.sql.execute("UPDATE quant SET quantity = quantity || '.'")
    wait_for_state(source, "degraded", rows)
    source.wait_until_served()
    figures = {key: fields["on_hand"] for key, fields in live(source).items()}
    assert figures == {key: fields["on_hand"] for key, fields in before.items()}, "as they were"
    assert len(listed(source)) == rows
    source.sql.execute(f"INSERT INTO quant VALUES ({ROW + 1}, {ITEM}, 2, NULL, '7.0000', 0)")
    wait_for(lambda: source.on_hand("ODD", "W3") == "7.0000", "what can be read is")
    restart(source)
    assert state(source) == ("degraded", str(rows))
    retype(source, "numeric(18,4) USING split_part(quantity, ' ', 1)::numeric")
    source.sql.execute("UPDATE quant SET reserved = reserved")
    wait_for_state(source, "live", 0)
    assert listed(source) == []
    source.verify()


def test_a_mended_pack_reads_what_it_could_not(source: Source, tmp_path: Path) -> None:
    source.sql.execute("UPDATE quant SET quantity = 'NaN', reserved = 3 WHERE id = %s", (ROW,))
    wait_for_state(source, "live", 1)
    pack = tmp_path / "pack"
    shutil.copytree(HERE / "pack", pack)
    sql = (pack / "stock.sql").read_text()
    (pack / "stock.sql").write_text(sql.replace("SUM(q.quantity)", "SUM(q.reserved)"))
    source.write_config(str(pack))
    source.apply()
    assert source.worker is not None
    source.worker.wait(60)  # it is told that the mapping is another one
    source.start_worker()
    wait_for_state(source, "live", 0)
    source.wait_until_served()
    assert (source.on_hand("ODD", "W2"), degraded(source), listed(source)) == ("3.0000", set(), [])
    source.verify()
