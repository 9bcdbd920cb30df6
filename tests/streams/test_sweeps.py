"""Rows that ended without a delete of their own stay gone when the log has lost what ended them."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from pipeline.domain.errors import RefusedError
from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from streams.holes import HISTORY_MS
from tests.streams.erp import Log, Op, Served, State, item, place, quant, states, truth
from tests.streams.test_publish import FIRST, ME, RIM, Notes, Worker

WEEK_S = 7 * 86_400.0
MORE = [*FIRST, quant(3, 1, 1, 7), quant(4, 2, 1, 9)]


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore() if request.param == "memory" else DiskStore(tmp_path, "small", cache=1_000, batch=1)
    yield made
    made.close()


def truncated_twice() -> tuple[Log, State]:
    """`quant` is emptied, then `place`: the second TRUNCATE has the first one's key."""
    log = Log().begun()
    log.transaction(1, MORE)
    log.begin(2)
    log.truncate(2, "quant")
    log.change(2, quant(9, 1, 1, 3))
    log.end(2)
    log.begin(3)
    log.truncate(3, "place")
    log.change(3, place(1, "x", "W1"))
    log.end(3)
    rows = [[*MORE, *(Op("quant", pk, None) for pk in (1, 2, 3, 4)), quant(9, 1, 1, 3)]]
    return log, states(rows)[1]


def snapshot_again() -> tuple[Log, State]:
    """Quants 3 and 4 were deleted while nobody looked; after the second snapshot all of its rows changed."""
    log = Log().begun()
    log.transaction(1, MORE)
    later = states([[*MORE, Op("quant", 3, None), Op("quant", 4, None)]])[1]
    log.snapshot(2, later)
    changed = [item(1, "A"), item(2, "C"), place(1, "y", "W1"), quant(1, 1, 1, 6), quant(2, 2, 1, 1)]
    log.transaction(3, changed)
    return log, states([[Op(t, pk, row) for t, rows in later.items() for pk, row in rows.items()], changed])[2]


LOGS = [truncated_twice, snapshot_again]


def served_anew(log: Log, notes: Notes, store: Store | None = None) -> Served:
    return Worker(log, notes=notes, store=store).take().redis.served


@pytest.mark.parametrize("history", LOGS)
def test_what_was_swept_stays_gone_after_compaction(history, store: Store) -> None:
    log, state = history()
    first = Worker(log).take()
    assert first.redis.served == truth(state)
    log.compact()
    assert served_anew(log, Notes()) != truth(state), "without the note ghosts come back, else this shows nothing"
    assert served_anew(log, first.notes, store) == truth(state)


@pytest.mark.parametrize("history", LOGS)
def test_what_compaction_took_before_any_worker_saw_it_is_not_guessed(history) -> None:
    """What ended rows may be among it, noted nowhere."""
    log, _ = history()
    stopped = Worker(log, clock=WEEK_S).take().ledger.metadata
    log.compact()
    log.transaction(5, [quant(1, 1, 1, 4)])
    with pytest.raises(RefusedError, match="no worker had seen") as refused:
        Worker(log, clock=WEEK_S).take()
    assert refused.value.fix.startswith("onhand apply --snapshot small")
    begun = replace(ME, begun=log.records[-5].offset)
    for seen in ({"committed": stopped}, {"identity": begun}, {"clock": HISTORY_MS / 1000}):
        assert Worker(log, **{"clock": WEEK_S} | seen).take().publisher.live


def test_a_hole_is_seen_between_two_batches_and_before_the_first_record_that_is_left() -> None:
    for missing in (1, 4):
        log, _ = truncated_twice()
        del log.records[missing]
        worker = Worker(log, clock=WEEK_S)
        for record in log.records[:-1]:
            asyncio.run(worker.publisher.take([record]))
        with pytest.raises(RefusedError):
            worker.take()


@pytest.mark.parametrize("op", [item(2, "A"), quant(3, 1, 1, "1.234")], ids=["another code", "a row that is bad"])
def test_a_version_stands_beside_the_time_of_its_commit_also_after_compaction(op: Op) -> None:
    """Else the scrub takes a key that an earlier worker wrote for one that a foreign hand changed."""
    log = Log().begun()
    log.transaction(1, MORE)
    log.transaction(2, [quant(1, 1, 1, 6)])
    log.transaction(3, [op])
    first = Worker(log).take()
    log.compact()
    again = Worker(log, notes=first.notes).take()
    whole, left = ({(d.key, d.offset, d.time_ms) for d in w.fold.levels.all_documents()} for w in (first, again))
    end = log.records[-1].offset
    latest = {document for document in whole if document[1] == end}
    assert ("stock:{A~1}:W1" if op.table == "item" else RIM, end, 3000) in latest
    assert latest <= left


@pytest.mark.parametrize("history", LOGS)
def test_a_replay_of_the_whole_log_gives_the_same_documents(history) -> None:
    log, _ = history()
    first = Worker(log).take()
    again = Worker(log, notes=first.notes).take()
    cuts = [{d.key: d for d in w.fold.levels.all_documents()} for w in (first, again)]
    assert {k: (d.offset, d.fields) for k, d in cuts[0].items()} == {
        k: (d.offset, d.fields) for k, d in cuts[1].items()
    }


def test_a_log_that_begins_with_its_only_snapshot_is_not_watched() -> None:
    log = Log().begun()
    log.snapshot(1, states([MORE])[1])
    log.transaction(2, [quant(1, 1, 1, 2)])
    assert Worker(log).take().notes.swept == {}


def test_a_snapshot_after_one_that_was_cut_off_is_noted() -> None:
    log = Log().begun()
    log.snapshot(1, states([MORE])[1], cut_off=3)
    begins = log.records[-1].offset + 1
    log.snapshot(2, states([MORE])[1])
    assert set(Worker(log).take().notes.swept.values()) == {begins}


def test_rows_that_changed_after_a_snapshot_stay_when_its_last_row_is_compacted_away() -> None:
    log, state = Log().begun(), states([MORE])[1]
    log.snapshot(1, state)
    for n, op in enumerate([quant(1, 1, 1, 2), quant(4, 2, 1, 3), quant(2, 2, 1, 4)], 2):
        log.transaction(n, [op])
        op.apply(state)
    log.compact()
    assert served_anew(log, Notes()) == truth(state)


def test_nothing_is_shown_until_the_open_transaction_ends() -> None:
    log, state = truncated_twice()
    first = Worker(log).take()
    log.compact()
    log.begin(4)
    log.change(4, quant(9, 1, 1, 4))
    again = Worker(log, notes=first.notes).take()
    assert again.redis.served == {}
    log.end(4)
    state["quant"][9] = quant(9, 1, 1, 4).row
    assert again.take().redis.served == truth(state)


def test_a_truncate_in_the_open_transaction_is_not_shown_before_its_end() -> None:
    log, state = truncated_twice()
    first = Worker(log).take()
    log.compact()
    log.begin(4)
    log.truncate(4, "quant")
    again = first.again().take()
    assert again.redis.served == truth(state)
    log.end(4)
    state["quant"].clear()
    assert again.take().redis.served == truth(state)


def test_ghosts_of_a_worker_that_goes_on_are_taken_back() -> None:
    log, state = snapshot_again()
    first = Worker(log).take()
    log.compact()
    again = first.again().take()  # Redis holds the very cut the log ends with
    assert again.redis.served == truth(state)
    log.transaction(5, [quant(1, 1, 1, 1)])
    state["quant"][1] = quant(1, 1, 1, 1).row
    assert again.take().redis.served == truth(state)
    assert RIM in again.redis.served


def a_place_that_a_truncate_ended_and_another_of_its_code() -> tuple[Log, State]:
    log, again = Log().begun(), [place(2, "x", "W1"), quant(1, 1, 2, 5)]
    log.transaction(1, FIRST)
    for n, table in enumerate(["place", "quant"], 2):
        log.begin(n)
        log.truncate(n, table)
        for op in [*again, quant(2, 2, 1, 8)]:
            log.change(n, op)
        log.end(n)
    return log, states([[item(1, "A"), item(2, "B"), *again, quant(2, 2, 1, 8)]])[1]


def test_what_redis_holds_goes_by_the_names_that_it_had_without_ghosts() -> None:
    """Else the level that the moved row leaves stays in Redis: its key was `location=x`, beside a ghost it is `x~2`."""
    log, state = a_place_that_a_truncate_ended_and_another_of_its_code()
    first = Worker(log).take()
    log.compact()
    log.transaction(4, [quant(1, 1, None, 5)])
    state["quant"][1] = quant(1, 1, None, 5).row
    again = first.again(committed=first.ledger.metadata).take()
    assert again.redis.served == truth(state)
    assert len(again.redis.rebuilds) == 1, "the first worker's"


def test_a_redis_from_before_rows_ended_is_projected_anew() -> None:
    log, state = a_place_that_a_truncate_ended_and_another_of_its_code()
    whole, log.records = log.records, log.records[:10]
    first = Worker(log).take()
    kept = replace(first.redis, meta_=dict(first.redis.meta_), served=dict(first.redis.served))
    log.records = whole
    first.take()
    log.compact()
    again = Worker(log, kept, first.alerts, notes=first.notes).take()
    assert again.redis.served == truth(state)
    assert len(again.redis.rebuilds) == 2


@pytest.mark.parametrize("seed", range(50))
def test_random_histories_compacted_at_any_place(seed: int) -> None:
    """Changes, TRUNCATEs and snapshots that miss deletes; a worker follows, the log is compacted, others start anew."""
    rng, log, notes = Random(seed), Log().begun(), Notes()
    state = states([MORE])[1]
    log.transaction(1, MORE)
    for n in range(2, 9):
        _happen(rng, log, state, n)
        worker = Worker(log, notes=notes).take()
        assert worker.redis.served == truth(state), n
        if rng.random() < 0.5:
            log.compact()
            assert served_anew(log, notes) == truth(state), n


def _happen(rng: Random, log: Log, state: State, n: int) -> None:
    what = rng.choice(["change", "change", "truncate", "snapshot"])
    if what == "snapshot":
        for pk in [pk for pk in state["quant"] if rng.random() < 0.3][: len(state["quant"]) - 1]:
            del state["quant"][pk]
        state["quant"].setdefault(8, quant(8, 1, 1, n).row)
        log.snapshot(n, state)
        return
    log.begin(n)
    if what == "truncate":
        table = rng.choice(["quant", "quant", "place"])
        log.truncate(n, table)
        state[table].clear()
    ops = [quant(rng.randint(1, 8), rng.randint(1, 2), 1, rng.randint(-5, 50)) for _ in range(rng.randint(1, 3))]
    for op in [*ops, place(1, rng.choice("xy"), "W1")]:
        op.apply(state)
        log.change(n, op)
    log.end(n)
