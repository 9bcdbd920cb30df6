"""Whatever a killed Kafka Connect leaves in the log: every cut is a true state of the database."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.domain.change import Position
from pipeline.domain.documents import Document
from streams.fold import StockFold
from tests.streams.erp import (
    LOG_EPOCH,
    Log,
    Op,
    Record,
    Served,
    State,
    item,
    new_fold,
    place,
    position,
    quant,
    states,
    truth,
)

LAST = 12  # transactions of a history

items = st.builds(item, st.integers(1, 3), st.sampled_from([None, "A", "B", "B"]))
places = st.builds(place, st.integers(1, 3), st.sampled_from(["x", "y"]), st.sampled_from([None, "W1", "W2"]))
quants = st.builds(
    quant,
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from([None, 1, 2, 3]),
    st.integers(-3, 9),
    st.sampled_from([None, "0.00", "1.50", "7.00"]),
    st.sampled_from([None, None, "2026-11-22", "2026-11-23"]),
)
deletes = st.builds(Op, st.sampled_from(["place", "quant", "quant"]), st.integers(1, 6), st.none())
transactions = st.lists(st.lists(items | places | quants | quants | deletes, min_size=1, max_size=4), max_size=LAST)
FIRST = [item(1, "A"), item(2, "B"), place(1, "x", "W1"), quant(1, 1, 1, 5)]


def stream(data: st.DataObject, log: Log, history: list[list[Op]], first: int, last: int) -> None:
    """Transactions `first` .. `last` (1-based) as Connect streams them, killed now and then."""
    n, kills = first, data.draw(st.integers(0, 4), "kills")
    while n <= last:
        ops = history[n - 1]
        kill = data.draw(st.sampled_from(["", "", "inside", "cut off", "whole"])) if kills else ""
        kills -= bool(kill)
        log.begin(n)
        reached = data.draw(st.integers(0, len(ops)), "rows before the kill") if kill in ("inside", "cut off") else None
        for op in ops[:reached]:
            log.change(n, op)
        if kill == "cut off":
            n = max(first, n - data.draw(st.integers(0, 4), "back"))
            continue
        if reached is not None:
            for op in ops[data.draw(st.integers(0, reached), "resumed at") :]:
                log.change(n, op)
        log.end(n)
        n = max(first, n + 1 - (data.draw(st.integers(0, 4), "back") if kill else 0))


def snapshot(data: st.DataObject, log: Log, past: list[State], earliest: int, n: int) -> None:
    """A snapshot as of transaction `n`, cut off and begun again now and then."""
    for attempt in sorted(data.draw(st.lists(st.integers(earliest, n), max_size=2), "attempts cut off")):
        size = sum(map(len, past[attempt].values()))
        log.snapshot(attempt, past[attempt], cut_off=data.draw(st.integers(1, max(1, size - 1))))
    if not log.snapshot(n, past[n]):
        log.begin(n, shows=n)  # the last captured table is empty: the first BEGIN tells that the snapshot is over


def a_log(data: st.DataObject) -> tuple[Log, list[State]]:
    """Snapshot, stream, and now and then (a lost slot) both again later."""
    history = [FIRST, *data.draw(transactions, "transactions")]
    past, log, done = states(history), Log().begun(), 0
    while done < len(history):
        start = data.draw(st.integers(max(1, done), len(history)), "snapshot after")
        last = data.draw(st.sampled_from([len(history), max(start, len(history) // 2)]), "streamed up to")
        snapshot(data, log, past, max(1, done), start)
        stream(data, log, history, start + 1, last)
        done = last if last > done else len(history)
    return log, past


def follow(served: Served, documents: list[Document]) -> None:
    """Take changed documents as a reader's Redis does."""
    for d in documents:
        if d.fields:
            served[d.key] = dict(zip(d.fields[::2], d.fields[1::2], strict=True))
        else:
            served.pop(d.key, None)


def everything(fold: StockFold) -> dict[str, Any]:
    documents = fold.levels.all_documents()  # the order of fields is no part of a document
    return {d.key: (d.offset, d.time_ms, dict(zip(d.fields[::2], d.fields[1::2], strict=True))) for d in documents}


def folded(log: Log, fold: StockFold | None = None) -> StockFold:
    fold = fold or new_fold()
    for record in log.records[0 if fold.place is None else fold.place.offset + 1 :]:
        fold.fold(record)
    return fold


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_cut_is_a_true_state_and_a_second_fold_is_the_same(data: st.DataObject) -> None:
    log, past = a_log(data)
    fold, served, cuts = new_fold(), Served(), 0
    for record in log.records:
        fold.fold(record)
        if fold.place is not None and fold.place.offset == record.offset:
            cuts += 1
            follow(served, fold.levels.documents())
            assert record.shows is not None
            assert served == truth(past[record.shows])
    assert cuts
    assert served == truth(past[-1]) or log.records[-1].shows != len(past) - 1

    again = folded(log)
    assert everything(again) == everything(fold)
    assert again.events == fold.events
    assert (again.place, again.rows, again.today) == (fold.place, fold.rows, "2026-11-22")


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, FIRST)
    return log


def on_hand(fold: StockFold, key: str) -> str | None:
    return {d.key: d.fields[1] for d in fold.levels.all_documents()}.get(key)


RIM = "stock:{A}:W1"


def test_older_transactions_again_are_not_shown(log: Log) -> None:
    for n in (2, 3, 4):
        log.transaction(n, [quant(1, 1, 1, n)])
    fold = folded(log)
    place_ = fold.place
    for n in (2, 3):
        log.transaction(n, [quant(1, 1, 1, n)])
    folded(log, fold)
    assert fold.place == place_
    log.transaction(5, [quant(2, 1, 1, 1)])
    log.transaction(4, [quant(1, 1, 1, 4)])
    log.transaction(5, [quant(2, 1, 1, 1)])
    log.transaction(6, [quant(3, 2, 1, 1)])
    assert on_hand(folded(log), RIM) == "5.00"


def test_what_was_cut_off_is_not_shown_when_older_transactions_come_again(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 6)])
    log.begin(3)
    log.change(3, quant(2, 1, 1, 9))
    log.transaction(2, [quant(1, 1, 1, 6)])
    fold = folded(log)
    assert on_hand(fold, RIM) == "6.00"
    log.transaction(3, [quant(1, 1, 1, 4), quant(2, 1, 1, 9)])
    assert on_hand(folded(log), RIM) == "13.00"


def test_a_level_knows_the_end_at_which_it_last_changed(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 6)])
    changed = log.records[-1].offset
    log.transaction(3, [quant(2, 2, 1, 1)])
    log.transaction(4, [quant(1, 1, 1, 6)])
    assert everything(folded(log))[RIM][:2] == (changed, 2000)


def test_a_bad_value_waits_in_quarantine_until_the_row_is_written_again_or_deleted(log: Log) -> None:
    bad = [quant(1, 1, 1, "1.234"), quant(2, 1, 1, "NaN"), quant(3, 1, 1, 4)]
    log.transaction(2, bad)
    fold = folded(log)
    reasons = sorted(held.reason for held in fold.quarantine.rows.values())
    assert reasons == [f"public.quant.quantity: {why}" for why in ("more than 2 decimals", "not a finite number")]
    assert on_hand(fold, RIM) == "9.00", "the row is held as it was, the others go on"
    log.transaction(3, [quant(1, 1, 1, 1)])
    assert len(folded(log, fold).quarantine) == 1
    log.transaction(4, [Op("quant", 2, None)])
    assert not folded(log, fold).quarantine.rows
    assert on_hand(fold, RIM) == "5.00"


def test_a_record_that_cannot_be_read_waits_in_quarantine(log: Log) -> None:
    op = quant(1, 1, 1, 2)
    log.begin(2)
    log.put(log.key(op), b"{")
    bad = log.records[-1]
    log.end(2)
    fold = folded(log)
    assert {k: (h.offset, h.reason) for k, h in fold.quarantine.rows.items()} == {bad.key: (bad.offset, "DecodeError")}
    log.transaction(3, [op])
    assert not folded(log, fold).quarantine.rows
    assert on_hand(fold, RIM) == "2.00"


def test_a_day_turns_what_is_due(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 7, due="2026-11-23")])
    fold = folded(log)
    assert on_hand(fold, RIM) is None
    log.control("day", date="2026-11-23")
    log.transaction(3, [item(3, "C")])
    assert on_hand(folded(log, fold), RIM) == "7.00"
    log.control("day", date="2026-11-22")  # an older day again: a day never goes back
    log.transaction(4, [item(3, "D")])
    assert on_hand(folded(log, fold), RIM) == "7.00"
    assert fold.today == "2026-11-23"


def test_a_truncated_table_is_empty_at_the_end_of_its_transaction(log: Log) -> None:
    fold = folded(log)
    log.begin(2)
    log.truncate(2, "quant")
    log.change(2, quant(9, 2, 1, 3))
    for record in log.records[fold.place.offset + 1 :]:
        fold.fold(record)
    assert on_hand(fold, RIM) == "5.00"
    log.end(2)
    fold.fold(log.records[-1])
    assert on_hand(fold, RIM) is None
    assert on_hand(fold, "stock:{B}:W1") == "3.00"


def test_a_snapshot_is_shown_at_its_last_row_and_not_before() -> None:
    log = Log().begun()
    log.snapshot(1, states([FIRST])[1])
    fold = new_fold()
    for record in log.records[:-1]:
        fold.fold(record)
        assert fold.place is None
    fold.fold(log.records[-1])
    assert fold.place is not None
    assert (fold.place.position, fold.place.time_ms) == (Position(position(1)), 1000)
    assert on_hand(fold, RIM) == "5.00"


def test_the_first_transaction_ends_a_snapshot_whose_last_table_is_empty(log: Log) -> None:
    fold = folded(log)
    empty = states([FIRST, [Op("quant", 1, None)]])[2]
    assert not log.snapshot(2, empty)
    folded(log, fold)
    assert on_hand(fold, RIM) == "5.00"
    log.begin(3)
    folded(log, fold)
    assert fold.place.offset == log.records[-1].offset
    assert on_hand(fold, RIM) is None, "the row that was deleted while nobody captured is a ghost"


@pytest.mark.parametrize("rows", [[item(1, None), quant(1, 1, None, 5)], [quant(1, 1, None, 5)]])
def test_a_snapshot_whose_first_row_is_missing_keeps_its_rows(rows: list[Op]) -> None:
    """The first captured table is empty, or its first row cannot be read: no record says `first`."""
    log = Log().begun()
    log.snapshot(1, states([rows])[1])
    if len(rows) == 2:
        log.records[3] = Record(log.records[3].key, b"{", 3)
    fold = folded(log)
    assert fold.engine.tables["public.quant"].pks() == {1}


def test_a_snapshot_begun_twice_leaves_no_ghost() -> None:
    history = [[*FIRST, quant(2, 2, 1, 8)], [Op("quant", 1, None)]]
    past, log = states(history), Log().begun()
    log.snapshot(1, past[1], cut_off=4)
    log.snapshot(2, past[2])
    fold = folded(log)
    assert on_hand(fold, RIM) is None
    assert on_hand(fold, "stock:{B}:W1") == "8.00"


def test_alerts_open_and_end_at_the_ends_of_transactions(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, 5, 8), quant(2, 1, 1, 4)])
    assert folded(log).events == []
    log.transaction(3, [quant(2, 1, 1, 1)])
    opened = log.records[-1].offset
    log.transaction(4, [quant(2, 1, 1, 3)])
    events = [(a.id, a.state, a.facts["available"], a.since[17:19]) for a in folded(log).events]
    name = f"negative_available/A/W1/{LOG_EPOCH}.{opened}"
    assert events == [(name, "open", "-2.00", "03"), (name, "resolved", "0.00", "03")]
