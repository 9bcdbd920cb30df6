"""F21, F28, F29, F40: wrong keys, wrong records, another schema; and several faults at once."""

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer

from tests.e2e.source import Source
from tests.faults.registry import FAULTS, fault
from tests.faults.run import Run


def quiet_item(source: Source) -> None:
    """An item that no writer touches."""
    source.sql.execute("INSERT INTO item VALUES (3000, 'QUIET')")
    source.sql.execute("INSERT INTO quant (id, item_id, location_id, quantity) VALUES (310000, 3000, 3, 12)")


@fault("F21b", "one key deleted", hold=0, prepare=quiet_item)
def key_deleted(run: Run) -> Iterator[None]:
    key = f"{run.source.prefix}:{{QUIET}}:W1"
    assert run.source.redis.delete(key) == 1
    yield
    run.wait(lambda: run.source.on_hand("QUIET", "W1") == "12.0000", "written again")


@fault("F21c", "a foreign hand writes into our keys", hold=0, prepare=quiet_item)
def foreign_write(run: Run) -> Iterator[None]:
    redis = run.source.redis
    key, never = (f"{run.source.prefix}:{{{item}}}:W1" for item in ("QUIET", "NEVER"))
    redis.hset(key, mapping={"on_hand": "4711", "v": "9" * 27})
    redis.hset(never, "on_hand", "1")
    yield
    run.wait(lambda: run.source.on_hand("QUIET", "W1") == "12.0000", "mended")
    run.wait(lambda: not redis.exists(never) or redis.hget(never, "deleted"), "what was never there is gone")


GARBAGE = (
    b"not JSON",
    b"{}",
    b'{"op":"u","after":{"id":"x"}}',
    b'{"op":"?","after":null}',
    b"[" * 100_000,
    b"\xff\xfe",
)


@fault("F28", "records that cannot be read, and a row that cannot be mapped", short=True, hold=2)
def poison(run: Run) -> Iterator[None]:
    rows = list(range(101, 101 + len(GARBAGE)))
    asyncio.run(_send(run, {_key(run, row): value for row, value in zip(rows, GARBAGE, strict=True)}))
    run.transaction("UPDATE quant SET quantity = 'NaN' WHERE id = 117")
    run.wait(lambda: run.source.meta().get("state") == "degraded", "readers are told")
    wanted = run.writers.transactions
    run.work(50)
    run.wait(
        lambda: float(run.source.on_hand("PROBE", "W1") or 0) > 0 and run.writers.transactions > wanted, "others go on"
    )
    yield
    run.transaction(
        "UPDATE quant SET quantity = 1 WHERE id = 117",
        *(
            f"INSERT INTO quant (id, item_id, location_id, quantity) VALUES ({n}, 1, 1, 1) ON CONFLICT DO NOTHING"
            for n in rows
        ),
        f"UPDATE quant SET reserved = 3 WHERE id BETWEEN {rows[0]} AND {rows[-1]}",
    )


def _key(run: Run, row: int) -> bytes:
    return f'{{"row":{{"id":{row},"__dbz__physicalTableIdentifier":"onhand.{run.source.name}.public.quant"}}}}'.encode()


async def _send(run: Run, records: dict[bytes, bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=run.stack.kafka.bootstrap)
    await producer.start()
    try:
        for key, value in records.items():
            await producer.send_and_wait(f"onhand.{run.source.name}.log", value, key=key, partition=0)
    finally:
        await producer.stop()


@fault("F29a", "columns added, dropped and retyped that no mapping reads", hold=1)
def harmless_schema(run: Run) -> Iterator[None]:
    run.alone("ALTER TABLE quant ADD COLUMN colour text DEFAULT 'red'", "ALTER TABLE item ADD COLUMN weight numeric")
    run.work(20)
    run.alone("ALTER TABLE quant DROP COLUMN secret_price", "ALTER TABLE item DROP COLUMN note")
    yield
    run.alone("ALTER TABLE quant ALTER COLUMN colour TYPE varchar(20)")


@fault("F29b", "a mapped column renamed, and back", hold=2)
def column_renamed(run: Run) -> Iterator[None]:
    run.writers.resting = True
    run.alone("ALTER TABLE quant RENAME COLUMN reserved TO held")
    run.transaction("UPDATE quant SET quantity = 5, held = 1 WHERE id BETWEEN 130 AND 140")
    run.wait(lambda: run.source.meta().get("state") not in {"live", "applying"}, "readers are told")
    yield
    run.alone("ALTER TABLE quant RENAME COLUMN held TO reserved")
    run.transaction("UPDATE quant SET reserved = 2 WHERE id BETWEEN 130 AND 140")
    run.writers.resting = False


GROUPS = (
    ("F1a", "F1c", "F2a"), ("F5a",), ("F7a", "F7b"), ("F11a", "F11b"), ("F20a", "F20b", "F21a", "F24b"),
    ("F33", "F34", "F37"),
)  # fmt: skip
"""Of each group one at a time: two would be in each other's way."""


@fault("F40", "two or three faults at once, chosen by the seed", hold=2)
def several(run: Run) -> Iterator[None]:
    groups = run.rng.sample(GROUPS, run.rng.choice((2, 3)))
    chosen = [FAULTS[run.rng.choice(group)] for group in groups]
    run.note = " + ".join(one.id for one in chosen)
    injected = [one.inject(run) for one in chosen]
    try:
        for steps in injected:
            next(steps)
        yield
        run.rng.shuffle(injected)
        for steps in injected:
            next(steps, None)
    finally:
        for steps in injected:
            steps.close()
