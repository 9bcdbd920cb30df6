"""Rows that cannot be read: what they said before counts on, their keys are degraded, and every replay agrees."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from pipeline.adapters.debezium import LogReader
from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from streams.fold import StockFold
from streams.quarantine import MOST
from tests.streams.erp import SERVER, Log, Op, item, new_fold, place, quant, states
from tests.streams.test_fold import everything, folded
from tests.streams.test_publish import Notes, Worker

FIRST = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), place(2, "y", "W2"), quant(1, 1, 1, 5), quant(2, 2, 2, 8)]
A, A1, A1X = "stock:{A}", "stock:{A}:W1", "stock:{A}:W1:location=x"
B, B2, B2Y = "stock:{B}", "stock:{B}:W2", "stock:{B}:W2:location=y"


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, FIRST)
    return log


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore() if request.param == "memory" else DiskStore(tmp_path, "small", cache=1_000, batch=1)
    yield made
    made.close()


def bad(op: Op, **columns: Any) -> Op:
    """The row as the connector sends it, with columns that are not of their type; ... leaves one out."""
    row = {name: value for name, value in (op.row | columns).items() if value is not ...}
    return Op(op.table, op.pk, row)


def degraded(worker: Worker) -> dict[str, str]:
    return {key: fields["degraded"] for key, fields in worker.redis.served.items() if "degraded" in fields}


def state(worker: Worker) -> tuple[str, int]:
    return worker.redis.meta_["state"], int(worker.redis.meta_["quarantined"])


def anew(log: Log, notes: Notes, store: Store | None = None) -> Worker:
    """A worker with an empty Redis."""
    return Worker(log, notes=notes, store=store).take()


def test_a_row_keeps_what_it_said_and_its_keys_say_why_until_it_is_right(log: Log) -> None:
    worker = Worker(log).take()
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    offset = log.records[-2].offset
    worker.take()
    assert degraded(worker) == dict.fromkeys((A, A1, A1X), f"{offset}: public.quant.quantity: not a finite number")
    assert worker.redis.served[A1]["on_hand"] == "5.00"
    assert state(worker) == ("live", 1)
    log.transaction(3, [quant(2, 2, 2, 9)])
    assert worker.take().redis.served[B2]["on_hand"] == "9.00", "others go on"
    log.transaction(4, [quant(1, 1, 1, 6)])
    worker.take()
    assert (degraded(worker), state(worker)) == ({}, ("live", 0))
    assert worker.redis.served[A1]["on_hand"] == "6.00"


def test_the_keys_a_row_leaves_and_those_it_would_go_to_are_degraded(log: Log) -> None:
    log.transaction(2, [quant(3, 1, 2, 1), quant(1, 2, 2, "NaN")])
    worker = Worker(log).take()
    assert degraded(worker).keys() == {A, A1, A1X, B, B2, B2Y}
    assert worker.redis.served["stock:{A}:W2"].get("degraded") is None


def test_a_key_that_nothing_counts_in_is_served_all_the_same(log: Log) -> None:
    log.transaction(2, [item(3, "C"), quant(3, 3, 1, "NaN", 2)])
    worker = Worker(log).take()
    assert degraded(worker).keys() == {"stock:{C}", "stock:{C}:W1", "stock:{C}:W1:location=x"}
    assert worker.redis.served["stock:{C}:W1"]["on_hand"] == "0.00"
    log.transaction(3, [quant(4, 3, 1, 2)])
    assert worker.take().redis.served["stock:{C}:W1"]["on_hand"] == "2.00"
    log.transaction(4, [Op("quant", 4, None)])
    assert worker.take().redis.served["stock:{C}:W1"]["on_hand"] == "0.00"
    assert "stock:{C}:W1" in degraded(worker)
    log.transaction(5, [Op("quant", 3, None)])
    assert worker.take().redis.served.keys() == {A, A1, A1X, B, B2, B2Y}


DECIDING = [
    (bad(quant(1, 1, 1, 5), item_id="abc"), "Expected `int`"),
    (bad(quant(1, 1, 1, 5), item_id=...), "the row has no column item_id"),
    (bad(quant(1, 1, 1, 5), due="tomorrow"), "not an ISO date"),
    (bad(item(1, "A"), code=17), "Expected `str | null`"),
]


@pytest.mark.parametrize(("op", "reason"), DECIDING, ids=lambda x: x if isinstance(x, str) else "")
def test_where_the_keys_cannot_be_known_the_whole_source_is_degraded(log: Log, op: Op, reason: str) -> None:
    log.transaction(2, [op])
    worker = Worker(log).take()
    assert degraded(worker).keys() == {A, A1, A1X}, "where it was is known"
    assert reason in degraded(worker)[A]
    assert state(worker) == ("degraded", 1)
    log.transaction(3, [item(1, "A") if op.table == "item" else quant(1, 1, 1, 7)])
    assert (degraded(worker.take()), state(worker)) == ({}, ("live", 0))


STRANGERS = [
    (b"no json", b"no json"),
    (b'{"row":{"id":1,"__dbz__physicalTableIdentifier":"onhand.small.public.quant"}}', b"{"),
    (b'{"row":{"id":"x","__dbz__physicalTableIdentifier":"onhand.small.public.quant"}}', None),
    (b'{"row":{"id":1,"__dbz__physicalTableIdentifier":"onhand.small.public.other"}}', b'{"op":"u","source":{}}'),
    (b"\xff\xfe", b"[" * 5000),
    (b'{"row":{"id":1,"__dbz__physicalTableIdentifier":"onhand.small.public.quant"}}', b'{"op":"x","after":null}'),
]


@pytest.mark.parametrize(("key", "value"), STRANGERS)
def test_what_is_no_record_of_the_connector_degrades_the_whole(log: Log, key: bytes, value: bytes | None) -> None:
    worker = Worker(log).take()
    log.put(key, value)
    log.transaction(2, [quant(2, 2, 2, 9)])
    worker.take()
    assert (state(worker), worker.redis.served[B2]["on_hand"]) == (("degraded", 1), "9.00")
    assert key in worker.notes.aside


def test_an_unknown_op_with_a_row_is_not_taken(log: Log) -> None:
    log.begin(2)
    log.put(log.key(quant(1, 1, 1, 9)), {"op": "x", "after": quant(1, 1, 1, 9).row})
    log.end(2)
    worker = Worker(log).take()
    assert worker.redis.served[A1]["on_hand"] == "5.00"
    assert "an op that is not known" in degraded(worker)[A1]


def test_a_row_that_others_join_concerns_all_of_them_and_those_that_come(log: Log) -> None:
    log.transaction(2, [bad(place(1, "x", "W1"), code=5)])
    worker = Worker(log).take()
    assert degraded(worker).keys() == {A, A1, A1X}
    log.transaction(3, [quant(3, 2, 1, 1)])
    assert degraded(worker.take()).keys() == {A, A1, A1X, B, "stock:{B}:W1", "stock:{B}:W1:location=x"}
    log.transaction(4, [Op("quant", 1, None)])
    assert degraded(worker.take()).keys() == {B, "stock:{B}:W1", "stock:{B}:W1:location=x"}


def test_a_row_moves_with_what_it_joins(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    worker = Worker(log).take()
    log.transaction(3, [place(1, "x", "W3"), item(1, "AA")])
    assert degraded(worker.take()).keys() == {"stock:{AA}", "stock:{AA}:W3", "stock:{AA}:W3:location=x"}
    log.transaction(4, [quant(5, 2, 1, 1)])
    assert degraded(worker.take()).keys() == {"stock:{AA}", "stock:{AA}:W3", "stock:{AA}:W3:location=x"}


@pytest.mark.parametrize("ends", ["delete", "truncate"])
def test_what_ends_a_row_ends_its_quarantine(log: Log, ends: str) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    worker = Worker(log).take()
    assert worker.notes.aside
    log.begin(3)
    log.truncate(3, "quant") if ends == "truncate" else log.change(3, Op("quant", 1, None))
    log.end(3)
    assert (state(worker.take()), worker.notes.aside) == (("live", 0), {})


def test_too_many_to_look_at_degrade_the_whole_and_single_keys_when_they_are_fewer(log: Log) -> None:
    log.transaction(2, [bad(quant(n, 1, 1, 1), quantity=True) for n in range(10, 11 + MOST)])
    worker = Worker(log).take()
    assert (state(worker), degraded(worker)) == (("degraded", MOST + 1), {})
    log.transaction(3, [quant(10, 1, 1, 1)])
    assert state(worker.take()) == ("live", MOST)
    assert degraded(worker).keys() == {A, A1, A1X}


def test_a_dependence_of_too_many_degrades_the_whole(log: Log) -> None:
    log.transaction(2, [quant(n, 1, 2, 1) for n in range(10, 10 + MOST)])
    log.transaction(3, [bad(place(2, "y", "W2"), code=5)])
    worker = Worker(log).take()
    assert (state(worker), degraded(worker)) == (("degraded", 1), {})


# -- the topic, and replays


def test_what_is_told_holds_all_a_person_needs(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    record = log.records[-2]
    (entry,) = Worker(log).take().notes.aside.values()
    assert (entry.offset, entry.table, entry.reason) == (
        record.offset, "public.quant", "public.quant.quantity: not a finite number",
    )  # fmt: skip
    assert (entry.position, entry.time_ms) == ("0/A0", 2000)
    assert "mended in the ERP" in entry.remedy
    assert (entry.key.text, entry.value.text) == (record.key.decode(), record.value.decode())
    assert msgspec.json.decode(entry.before) == quant(1, 1, 1, 5).row


def test_it_is_told_before_anything_after_it_is_committed(log: Log) -> None:
    worker = Worker(log).take()
    committed: list[int | None] = []
    tell = worker.notes.quarantine

    async def told(records: Any) -> None:
        committed.append(worker.ledger.published)
        await tell(records)

    worker.notes.quarantine = told
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    before = worker.ledger.published
    worker.take()
    assert committed == [before]
    log.transaction(3, [quant(1, 1, 1, 1)])
    log.begin(4)
    worker.take()
    assert (len(committed), worker.notes.aside) == (2, {})


def test_a_row_right_again_in_an_open_transaction_stays_noted(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    worker = Worker(log).take()
    log.begin(3)
    log.change(3, quant(1, 1, 1, 4))
    assert worker.take().notes.aside
    log.end(3)
    assert not worker.take().notes.aside


def test_what_comes_right_after_the_cut_of_a_batch_stays_noted(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    worker = Worker(log).take()
    log.transaction(3, [quant(2, 2, 2, 9)])
    log.begin(4)
    log.change(4, quant(1, 1, 1, 4))
    assert worker.take().notes.aside
    log.end(4)
    assert not worker.take().notes.aside


def test_a_large_value_is_cut_off_and_says_so(log: Log) -> None:
    log.transaction(2, [bad(quant(1, 1, 1, 1), quantity="9" * 5_000_000)])
    (entry,) = Worker(log).take().notes.aside.values()
    assert (entry.value.size > 5_000_000, len(entry.value.text), entry.value.whole) == (True, 64 * 1024, False)


def same(one: StockFold, other: StockFold) -> bool:
    return everything(one) == everything(other) and one.quarantine.marks == other.quarantine.marks


def test_a_replay_gives_the_same_documents(log: Log) -> None:
    ops = [quant(1, 1, 1, "NaN"), bad(place(2, "y", "W2"), code=5), quant(3, 1, 2, "1.234"), quant(3, 1, 2, 4)]
    for n, op in enumerate(ops, 2):
        log.transaction(n, [op])
    worker = Worker(log).take()
    assert same(worker.fold, folded(log))
    again = anew(log, worker.notes)
    assert same(worker.fold, again.fold)
    assert again.redis.served == worker.redis.served


def test_after_compaction_the_row_still_counts_what_it_said_before(log: Log, store: Store) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN"), bad(item(2, "B"), code=7)])
    worker = Worker(log).take()
    log.compact()
    assert anew(log, Notes()).redis.served != worker.redis.served, (
        "without the notes it is lost, else this shows nothing"
    )
    again = anew(log, worker.notes, store)
    assert again.redis.served == worker.redis.served
    assert again.redis.meta_ == worker.redis.meta_
    log.transaction(3, [quant(1, 1, 1, 4)])
    assert again.take().redis.served[A1]["on_hand"] == "4.00"


def test_a_row_bad_again_is_remembered_as_it_was(log: Log) -> None:
    worker = Worker(log).take()
    for n in (2, 3, 4):
        log.transaction(n, [quant(1, 1, 1, "NaN")])
        worker.take()
    log.compact()
    again = anew(log, worker.notes)
    assert (again.redis.served, state(again)) == (worker.redis.served, ("live", 1))


def test_a_replay_tells_nothing_anew(log: Log) -> None:
    for n in (2, 3):
        log.transaction(n, [quant(1, 1, 1, "NaN"), quant(2, 2, 2, 8 + n)])
    worker = Worker(log).take()
    told = worker.notes.told
    assert anew(log, worker.notes).notes.told == told
    assert [e.offset for e in worker.notes.aside.values()] == [log.records[-3].offset]


def test_a_mapping_that_reads_it_ends_it(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 7)])
    worker = Worker(log).take()
    worker.notes.aside = Worker(_with(log, quant(1, 1, 1, "NaN"))).take().notes.aside
    assert worker.notes.aside
    again = anew(log, worker.notes)
    assert (again.redis.served[A1]["on_hand"], again.notes.aside) == ("7.00", {})


def _with(log: Log, op: Op) -> Log:
    other = Log(list(log.records[:-2]))
    other.change(2, op)
    other.end(2)
    return other


def test_a_dropped_row_counts_on_as_before_and_is_not_degraded(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "NaN"), quant(2, 2, 2, "NaN")])
    offset = log.records[-3].offset
    worker = Worker(log).take()
    log.put({"row": {"control": f"drop/{offset}"}}, {"control": "drop", "offset": offset})
    log.transaction(3, [quant(3, 2, 2, 1)])
    worker.take()
    assert (degraded(worker).keys(), state(worker)) == ({B, B2, B2Y}, ("live", 1))
    assert worker.redis.served[A1]["on_hand"] == "5.00"
    log.compact()
    again = anew(log, worker.notes)
    assert again.redis.served == worker.redis.served
    log.transaction(4, [quant(1, 1, 1, "NaN")])
    assert A1 in degraded(again.take()), "a bad record that comes later is another one"


def test_a_snapshot_keeps_the_rows_it_cannot_read(log: Log) -> None:
    log.snapshot(2, states([[*FIRST, quant(1, 1, 1, "NaN"), quant(2, 2, 2, "NaN")]])[1])
    worker = Worker(log).take()
    assert worker.redis.served[A1]["on_hand"] == "5.00"
    assert degraded(worker).keys() == {A, A1, A1X, B, B2, B2Y}
    assert state(worker) == ("live", 2)
    log.snapshot(3, states([[*FIRST, Op("quant", 1, None), quant(2, 2, 2, 8)]])[1])
    assert (degraded(worker.take()), state(worker), A in worker.redis.served) == ({}, ("live", 0), False)


@pytest.mark.parametrize("value", [b"{", b'{"op":"r","after":{"id":"x"},"source":{"snapshot":"true","lsn":200}}'])
def test_a_snapshot_keeps_a_row_of_which_only_the_key_can_be_read(log: Log, value: bytes) -> None:
    log.snapshot(2, states([[*FIRST, quant(4, 2, 2, 1)]])[1])
    at = next(i for i, r in enumerate(log.records) if r.offset > 10 and b'"id":1' in r.key and b"quant" in r.key)
    log.records[at] = type(log.records[at])(log.records[at].key, value, log.records[at].offset)
    worker = Worker(log).take()
    assert (worker.redis.served[A1]["on_hand"], state(worker)) == ("5.00", ("degraded", 1))


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_with_bad_rows_compacted_at_any_place(seed: int) -> None:
    """A worker follows; others begin anew, on the whole log and on a compacted one: all serve the same."""
    rng, log, notes = Random(seed), Log().begun(), Notes()
    log.transaction(1, FIRST)
    worker = Worker(log, notes=notes).take()
    for n in range(2, 14):
        log.begin(n)
        if rng.random() < 0.1:
            log.truncate(n, rng.choice(["quant", "place"]))
        for _ in range(rng.randint(1, 3)):
            log.change(n, _op(rng))
        log.end(n)
        worker.take(batch=rng.randint(1, 9))
        if rng.random() < 0.3:
            log.compact()
        again = anew(log, notes)
        assert again.redis.served == worker.redis.served, n
        assert state(again) == state(worker), n


def _op(rng: Random) -> Op:
    pk, n = rng.randint(1, 4), rng.randint(1, 9)
    good = rng.choice(
        [
            quant(pk, rng.randint(1, 3), rng.randint(1, 2), n),
            quant(pk, 1, 1, n),
            place(pk % 2 + 1, "x", "W1"),
            item(pk, "AB"[pk % 2]),
        ]
    )
    what = rng.random()
    if what < 0.5:
        return good
    if what < 0.6:
        return Op(good.table, good.pk, None)
    column = rng.choice([c for c in good.row if c != "id"])
    return bad(good, **{column: rng.choice([{"x": 1}, ..., "NaN" if column == "quantity" else [1]])})


def test_a_salvaged_record_never_raises() -> None:
    reader = LogReader(SERVER, new_fold().engine.tables)
    for value in (
        None,
        b"",
        b"[]",
        b'{"after":1,"source":[]}',
        b'{"source":{"lsn":true,"ts_ms":"x"},"op":[]}',
        b"\xff",
    ):
        for key in (None, b"", b":", *(key for key, _ in STRANGERS)):
            assert reader.salvage(key, value).row is None
