"""A further epoch in the same log: only what was read since counts, and the old figures stay served until then."""

from dataclasses import replace

import pytest

from pipeline.adapters.redis import version
from pipeline.domain.errors import RefusedError
from tests.streams.erp import Log, State, quant, states, truth
from tests.streams.test_publish import FIRST, ME, Worker

MORE = [*FIRST, quant(3, 1, 1, -7, 2)]
BACK = states([FIRST])[1]
"""What the ERP holds after it was put back: quant 3 is not there any more."""
ANEW = replace(ME, log_epoch=ME.log_epoch + 50, epoch=ME.epoch + 60)


def served_once() -> tuple[Log, Worker]:
    log = Log().begun()
    log.transaction(8, MORE)
    return log, Worker(log).take()


def begin_epoch(log: Log, position: int = 0) -> None:
    log.control("epoch", epoch=ANEW.log_epoch, position=position)
    log.control("day", date="2026-11-22")


def test_positions_may_go_back_and_versions_rise() -> None:
    log, before = served_once()
    assert before.redis.served == truth(states([MORE])[1])
    begin_epoch(log)
    log.snapshot(2, BACK)
    after = before.again(identity=ANEW).take()
    assert after.redis.served == truth(BACK)
    log.transaction(3, [quant(1, 1, 1, 6)])
    after.take()
    assert after.redis.served["stock:{A}:W1"]["on_hand"] == "6.00"
    assert after.redis.meta_["v"] == version(ANEW.epoch, log.records[-1].offset) > version(ME.epoch, 10**15)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_old_figures_stay_until_the_snapshot_is_complete(rows: int) -> None:
    log, before = served_once()
    begin_epoch(log)
    log.snapshot(2, BACK, cut_off=rows)
    after = before.again(identity=ANEW).take()
    assert after.redis.served == truth(states([MORE])[1])
    assert after.redis.meta_["state"] == "snapshot"
    assert after.ledger.published is None
    log.snapshot(3, BACK)
    assert after.take().redis.served == truth(BACK)
    assert after.redis.meta_["state"] == "live"


def test_what_a_capture_before_wrote_late_is_not_shown() -> None:
    log, before = served_once()
    begin_epoch(log, position=900)
    log.end(9)
    after = before.again(identity=ANEW).take()
    assert after.redis.served == truth(states([MORE])[1])
    log.snapshot(10, BACK)
    assert after.take().redis.served == truth(BACK)


def test_every_table_may_be_empty_by_then() -> None:
    log, before = served_once()
    begin_epoch(log)
    log.begin(2)
    log.end(2)
    assert before.again(identity=ANEW).take().redis.served == {}


def test_alerts_that_are_still_so_stay_as_they_were() -> None:
    log, before = served_once()
    told, state = list(before.alerts.told), states([MORE])[1]
    assert {(a.kind, a.state) for a in told} == {("negative_on_hand", "open"), ("negative_available", "open")}
    begin_epoch(log)
    after = before.again(identity=ANEW).take()
    log.snapshot(2, state)
    assert after.take().alerts.told == told
    log.transaction(3, [quant(3, 1, 1, 0)])
    assert [(a.id, a.state) for a in after.take().alerts.told[2:]] == [(a.id, "resolved") for a in told]


def changed_since(state: State) -> tuple[Log, State]:
    log, _ = served_once()
    begin_epoch(log)
    log.snapshot(2, state)
    log.transaction(3, [*FIRST, quant(1, 1, 1, 77)])
    return log, states([[*FIRST, quant(1, 1, 1, 77)]])[1]


def test_a_compacted_log_keeps_what_counts_and_nothing_else() -> None:
    log, state = changed_since(BACK)
    log.compact()
    assert any(b'"id":3' in (r.key or b"") for r in log.records), "the ghost's record is left, else this shows nothing"
    assert Worker(log, identity=ANEW).take().redis.served == truth(state)


def test_a_worker_that_runs_ends_and_one_of_the_epoch_before_does_not_start() -> None:
    log, running = served_once()
    begin_epoch(log)
    with pytest.raises(RefusedError, match="read anew") as refused:
        running.take()
    assert refused.value.fix == "start the worker again"
    with pytest.raises(RefusedError, match="its epoch differs") as refused:
        Worker(log).take()
    assert refused.value.fix.startswith("onhand apply --snapshot small")


def test_a_log_made_anew_is_known_by_its_first_record() -> None:
    _, running = served_once()
    another = Log().begun(epoch=ME.log_epoch + 9)
    another.transaction(1, FIRST)
    running.log = another
    with pytest.raises(RefusedError, match="its epoch differs"):
        running.fetch_again()
