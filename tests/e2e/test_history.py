"""`onhand as-of`, `export`, `diff`: the stock as the log knew it, against what the database itself said then."""

import asyncio
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner, Result

from infra.stack import Stack
from pipeline.adapters import kafka
from pipeline.cli.main import app
from pipeline.domain.errors import OnhandError
from pipeline.settings import Kafka
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for

TRUTH = """
  SELECT i.code, w.code, sum(q.quantity), coalesce(sum(q.reserved), 0) FROM quant q
  JOIN location l ON l.id = q.location_id JOIN warehouse w ON w.id = l.warehouse_id JOIN item i ON i.id = q.item_id
  WHERE l.usage = 'internal' GROUP BY i.code, w.code
"""
Stock = dict[tuple[str, str], tuple[Decimal, Decimal]]


@dataclass
class Moment:
    """What the database itself said at a time and position."""

    time: datetime
    position: str
    stock: Stock


def onhand(source: Source, *arguments: str) -> Result:
    """The command in this process: its start takes longer than all it does."""
    return CliRunner().invoke(app, ["--config", str(source.config), *arguments])


def rows(done: Result) -> list[dict[str, str]]:
    assert done.exit_code in (0, 10), f"{done.output}{done.exception}"
    return json.loads(done.stdout)


def refusal(done: Result) -> str:
    assert isinstance(done.exception, OnhandError), done.output
    return str(done.exception)


def stock(levels: list[dict[str, str]]) -> Stock:
    """Of documents as printed: those of an item in a warehouse."""
    return {
        (row["item"], row["warehouse"]): (Decimal(row["on_hand"]), Decimal(row["reserved"]))
        for row in levels
        if row["key"].count(":") == 2
    }


def moment(source: Source) -> Moment:
    """Now, when nobody writes: no commit after this is of the same millisecond."""
    truth = {(item, warehouse): (held, reserved) for item, warehouse, held, reserved in source.sql.execute(TRUTH)}
    time, position = source.sql.execute("SELECT clock_timestamp(), pg_current_wal_lsn()::text").fetchone()
    time = time.replace(microsecond=time.microsecond // 1000 * 1000) + timedelta(milliseconds=1)
    wait_for(
        lambda: source.sql.execute("SELECT clock_timestamp() > %s", (time + timedelta(milliseconds=2),)).fetchone()[0],
        "later",
    )
    return Moment(time, position, truth)


@pytest.fixture(scope="module")
def history(source: Source) -> list[Moment]:
    """Random transactions, and what the database said between some of them."""
    rng, moments, writers = random.Random(5), [moment(source)], Writers(source)
    for _ in range(8):
        for _ in range(rng.randint(1, 12)):
            with source.sql.transaction():
                writers._change(source.sql, rng)
        moments.append(moment(source))
    with source.sql.transaction():
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
    source.wait_until_served()
    return moments


def test_each_moment_is_as_the_database_said(source: Source, history: list[Moment]) -> None:
    assert len({tuple(sorted(m.stock.items())) for m in history}) > 5
    here = ZoneInfo("America/New_York")
    for n, then in enumerate(history):
        zoned = then.time.astimezone(here if n % 2 else ZoneInfo("UTC")).isoformat()
        asked = [("--position", then.position)] if n % 3 == 2 else [(zoned,)]
        for words in asked:
            done = onhand(source, "as-of", *words, "-o", "json")
            assert stock(rows(done)) == then.stock, (n, words, done.stderr)
            assert "as of 20" in done.stderr
            assert "position 0/" in done.stderr


def test_an_item_a_warehouse_and_times_as_people_type_them(source: Source, history: list[Moment]) -> None:
    then = history[3]
    plain = then.time.astimezone(ZoneInfo("UTC")).replace(tzinfo=None).isoformat()
    (item, warehouse), amounts = next(iter(then.stock.items()))
    found = rows(onhand(source, "as-of", plain, item, warehouse, "-o", "json"))
    assert stock(found) == {(item, warehouse): amounts}
    assert {row["item"] for row in found} == {item}
    assert {row["changed"][:2] for row in found} == {"20"}
    of_item = rows(onhand(source, "as-of", "--position", then.position, item, "-o", "json"))
    assert stock(of_item) == {key: x for key, x in then.stock.items() if key[0] == item}
    table = source.onhand("as-of", plain, item)
    assert table.returncode == 0, table.stderr
    assert warehouse in table.stdout
    assert "no item 'NO-SUCH'" in refusal(onhand(source, "as-of", plain, "NO-SUCH"))


def test_what_the_log_cannot_tell_is_refused(source: Source, history: list[Moment]) -> None:
    assert "begins with the snapshot" in refusal(onhand(source, "as-of", "2 days ago"))
    assert "begins with the snapshot" in refusal(onhand(source, "as-of", "--position", "0/1"))
    assert "complete up to" in refusal(onhand(source, "as-of", "--position", "FF/0"))
    assert "complete up to" in refusal(onhand(source, "as-of", "2999-01-01"))
    assert "not a time" in refusal(onhand(source, "as-of", "next week"))
    assert "not a position" in refusal(onhand(source, "as-of", "--position", "here"))
    assert "both" not in refusal(onhand(source, "as-of"))
    assert "leave one" in refusal(onhand(source, "export", "x", "--at", "10:30", "--position", "0/1"))


def test_what_changed_since_an_export_is_named_exactly(source: Source, tmp_path: Path) -> None:
    before, again, packed = (str(tmp_path / n) for n in ("a.jsonl", "b.jsonl", "c.jsonl.gz"))
    position = source.sql.execute("SELECT pg_current_wal_lsn()::text").fetchone()[0]
    source.wait_until_served()
    assert onhand(source, "export", source.name, before).exit_code == 0
    assert rows(onhand(source, "diff", before, "-o", "json")) == []
    header = json.loads(Path(before).read_text().splitlines()[0])
    assert (header["source"], header["format"], header["quarantined"]) == (source.name, 1, 0)
    for file in (again, packed):
        onhand(source, "export", file, "--at", header["as_of"])
    assert Path(again).read_bytes() == Path(before).read_bytes() == gzip.decompress(Path(packed).read_bytes())
    assert header["position"] >= position

    with source.sql.transaction():
        source.sql.execute("UPDATE quant SET quantity = quantity - 2.5 WHERE id = 100002")
        source.sql.execute("INSERT INTO item VALUES (7001, 'NEW')")
        source.sql.execute("INSERT INTO quant (id, item_id, location_id, quantity) VALUES (700001, 7001, 3, 4)")
    source.wait_until_served()
    done = onhand(source, "diff", packed, "-o", "json")
    assert done.exit_code == 10
    found = {(row["item"], row.get("warehouse"), row["field"]): row for row in rows(done)}
    assert {key[:2] for key in found} == {("PAIR", None), ("PAIR", "W1"), ("NEW", None), ("NEW", "W1")}
    pair = found["PAIR", "W1", "on_hand"]
    assert Decimal(pair["stored"]) - Decimal(pair["now"]) == Decimal("2.5")
    assert pair["difference"] == "-2.5000"
    assert (found["NEW", "W1", "on_hand"]["stored"], found["NEW", "W1", "on_hand"]["difference"]) == ("none", "+4.0000")
    only = rows(onhand(source, "diff", before, "--item", "NEW", "-o", "json"))
    assert {row["item"] for row in only} == {"NEW"}
    after = str(tmp_path / "after.jsonl")
    onhand(source, "export", after)
    two = onhand(source, "diff", before, after, "-o", "json")
    assert (two.exit_code, rows(two)) == (10, rows(done))
    assert source.onhand("diff", before, again).returncode == 0


def test_a_file_that_is_not_what_was_stored_is_refused(source: Source, tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    onhand(source, "export", str(file))
    good = file.read_text()

    def changed(old: str, new: str) -> str:
        file.write_text(good.replace(old, new, 1))
        return refusal(onhand(source, "diff", str(file)))

    assert "its checksum is another" in changed('"on_hand":"', '"on_hand":"1')
    assert "its checksum is another" in changed("\n", "\n\n")
    assert "of format 2" in changed('"format":1', '"format":2')
    assert "no stored state" in changed('"format":1', '"fermat":1')
    file.write_bytes(gzip.compress(good.encode())[:-9])
    assert "cannot be unpacked" in refusal(onhand(source, "diff", str(file)))
    file.write_text(good)
    source.config.write_text(source.config.read_text().replace(f"[sources.{source.name}]", "[sources.other]"))
    try:
        assert f"of source {source.name}" in refusal(onhand(source, "diff", str(file)))
    finally:
        source.config.write_text(source.config.read_text().replace("[sources.other]", f"[sources.{source.name}]"))
    assert onhand(source, "export", str(tmp_path / "none" / "x")).exit_code == 1
    assert not list(tmp_path.glob(".*"))


def configure(stack: Stack, topic: str, **settings: str) -> None:
    async def alter() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap)
        await client.start()
        try:
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
        finally:
            await client.close()

    asyncio.run(alter())


def has_holes(broker: Kafka, topic: str) -> bool:
    offsets: list[int] = []
    take: Callable[..., None] = lambda record: offsets.append(record.offset)  # noqa: E731
    kafka.replay(broker, topic, take)
    return len(offsets) <= offsets[-1]


def test_a_time_that_compaction_has_reached_is_refused(source: Source, history: list[Moment]) -> None:
    log, broker = f"onhand.{source.name}.log", Kafka(bootstrap_servers=source.stack.kafka.bootstrap)
    small = {"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.0"}
    configure(source.stack, log, **small, **{"min.compaction.lag.ms": "1000", "delete.retention.ms": "0"})

    def compacted() -> bool:
        source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id = 100001")
        # the first round may leave holes after that time only
        return has_holes(broker, log) and "it is compacted" in str(onhand(source, "as-of", then).exception)

    then = history[2].time.isoformat()
    wait_for(compacted, "compaction", 180)
    assert "it is compacted, and complete from 20" in refusal(onhand(source, "as-of", then))
    source.wait_until_served()
    done = onhand(source, "export", str(source.directory / "end.jsonl"))
    assert done.exit_code == 0, "the log's end is always whole"
    assert rows(onhand(source, "diff", str(source.directory / "end.jsonl"), "--item", "PAIR", "-o", "json")) == []
