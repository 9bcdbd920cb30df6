"""Rows read again beside the stream: nothing older wins, nothing newer is shown before the stream has come as far."""

import pytest

from pipeline.applied import Applied, Text, plain
from streams.applied_fold import new_fold as applied_fold
from tests.streams.erp import CATALOG, LOG_EPOCH, PREFIX, SERVER, SQL, Log, Op, item, place, quant
from tests.streams.test_fold import FIRST, RIM, folded, on_hand


def read_again(log: Log, op: Op, time_ms: int) -> None:
    """A row as Debezium's incremental snapshot writes it: outside transactions, without a position."""
    source = {"ts_ms": time_ms, "snapshot": "incremental", "schema": "public", "table": op.table, "lsn": None}
    log.put(log.key(op), {"before": None, "after": op.row, "source": source, "op": "r"})


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.transaction(1, FIRST)
    return log


def test_what_says_nothing_new_holds_nothing_up(log: Log) -> None:
    read_again(log, quant(1, 1, 1, 5), time_ms=9000)
    log.transaction(2, [quant(2, 1, 1, 1)])
    assert on_hand(folded(log), RIM) == "6.00"


def test_a_row_that_is_ahead_of_the_stream_waits_for_it(log: Log) -> None:
    """Connect is behind: it reads what the 4th transaction will bring, and half of a transfer would be seen."""
    fold = folded(log)
    read_again(log, quant(1, 1, 1, 2), time_ms=4500)
    begun = fold.place
    for n, ops in enumerate(([item(3, "C")], [quant(1, 1, 1, 4)], [quant(1, 1, 1, 2), quant(2, 1, 1, 3)]), 2):
        log.transaction(n, ops)
        assert folded(log, fold).place == begun
    log.transaction(5, [item(3, "D")])
    assert on_hand(folded(log, fold), RIM) == "5.00", "2 and 3"
    assert fold.place.offset == log.records[-1].offset


def test_older_transactions_again_stay_hidden_behind_a_row_that_was_ahead(log: Log) -> None:
    read_again(log, quant(1, 1, 1, 2), time_ms=3500)
    log.transaction(3, [quant(1, 1, 1, 2)])
    log.transaction(2, [quant(1, 1, 1, 9)])  # Connect was killed
    fold = folded(log)
    assert on_hand(fold, RIM) == "5.00"
    log.transaction(3, [quant(1, 1, 1, 2)])
    log.transaction(4, [item(3, "C")])
    assert on_hand(folded(log, fold), RIM) == "2.00"


def test_a_row_found_again_leaves_the_quarantine(log: Log) -> None:
    log.transaction(2, [quant(1, 1, 1, "1.234")])
    fold = folded(log)
    assert fold.quarantine
    read_again(log, quant(1, 1, 1, 7), time_ms=2500)
    log.transaction(3, [item(3, "C")])
    assert not folded(log, fold).quarantine
    assert on_hand(fold, RIM) == "7.00"


def test_rows_of_a_table_that_this_mapping_does_not_read_are_nothing(log: Log) -> None:
    read_again(log, Op("hold", 1, {"id": 1}), time_ms=2500)
    log.change(2, Op("hold", 2, {"id": 2}))
    log.change(2, Op("hold", 2, None))
    assert not folded(log).quarantine


def applied(since: dict[str, int]) -> Applied:
    return Applied(
        name="small", epoch=LOG_EPOCH, applied_at=LOG_EPOCH, pack="p", dialect="postgres", digest="d",
        catalog=CATALOG.to_dict(), texts=[Text("stock", "stock.sql", SQL)], bound=plain({}),
        stock={"reserved": "stock", "usable": None}, time_zone="UTC", prefix=PREFIX, topics={}, since=since,
    )  # fmt: skip


def before_reread() -> Log:
    """A log whose places were captured without their warehouse; one of them is gone, and nobody said so."""
    log = Log().begun()
    bare = [Op("place", pk, {"id": pk, "code": "x"}) for pk in (1, 2)]
    log.transaction(1, [item(1, "A"), *bare, quant(1, 1, 1, 5), quant(2, 1, 2, 1)])
    return log


def test_rows_from_before_they_were_read_again_are_old_whatever_they_lack() -> None:
    log = before_reread()
    since = log.records[-1].offset + 1
    read_again(log, place(1, "x", "W1"), time_ms=1500)
    log.transaction(2, [item(3, "C")])
    fold = applied_fold(applied({"public.place": since}), SERVER, {})
    folded(log, fold)
    fold.end_replay()
    assert not fold.quarantine
    assert on_hand(fold, RIM) == "5.00"
    assert fold.engine.tables["public.place"].pks() == {1}


def test_a_row_without_a_column_is_never_read_as_null(log: Log) -> None:
    fold = folded(before_reread())
    assert {held.reason for held in fold.quarantine.rows.values()} == {
        "the row has no column warehouse (dropped or renamed in the ERP?): onhand plan says what to do"
    }
    later = before_reread()
    since = later.records[-1].offset + 1
    later.transaction(2, [Op("place", 1, {"id": 1, "code": "x"})])  # its column was dropped after it was read again
    fold = applied_fold(applied({"public.place": since}), SERVER, {})
    assert len(folded(later, fold).quarantine) == 1


def test_a_row_that_was_captured_whole_but_not_read_again_is_gone() -> None:
    """A table that was captured, left out for a time, and captured again: what was deleted meanwhile is a ghost."""
    log = Log().begun()
    log.transaction(1, [*FIRST, quant(2, 2, 1, 8)])
    since = log.records[-1].offset + 1
    read_again(log, quant(1, 1, 1, 5), time_ms=1500)
    log.transaction(2, [item(3, "C")])
    fold = applied_fold(applied({"public.quant": since}), SERVER, {})
    folded(log, fold)
    fold.end_replay()
    assert fold.engine.tables["public.quant"].pks() == {1}


def test_rows_found_again_stay_where_compaction_took_the_last_row_of_the_snapshot_before() -> None:
    log = Log().begun()
    log.snapshot(1, {"item": {}, "place": {9: {"id": 9, "code": "z", "warehouse": "W9"}}, "quant": {}})
    for op in FIRST:
        read_again(log, op, time_ms=1500)
    log.transaction(2, [item(3, "C")])
    assert on_hand(folded(log), RIM) == "5.00"
