"""A log folded up to a moment is the database's state then, or it says why it cannot be told."""

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.adapters.debezium import LogReader
from pipeline.domain.change import Position
from pipeline.domain.stored import fields_of
from streams.history import Moment, Past
from tests.streams.erp import SERVER, Log, Served, State, new_fold, position, quant, states, truth
from tests.streams.test_fold import FIRST, a_log
from tests.streams.test_publish import Notes, Worker
from tests.streams.test_sweeps import MORE, _happen


def look_back(log: Log, until: Moment, swept: dict[str, int] | None = None) -> Past:
    fold = new_fold(swept=swept)
    past = Past(fold, LogReader(SERVER, fold.engine.tables), until)
    for record in log.records:
        if past.take(record):
            break
    past.finish()
    return past


def by_time(n: int) -> Moment:
    return Moment(time_ms=1000 * n)


def by_position(n: int) -> Moment:
    return Moment(position=Position(position(n)))


def served(past: Past) -> Served:
    return Served(fields_of(past.fold.levels.all_documents()))


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_every_cut_can_be_seen_again(data: st.DataObject) -> None:
    """Snapshots again and killed Connects included: each state that was ever shown, and no other."""
    log, past = a_log(data)
    seen, fold = list[int](), new_fold()
    for record in log.records:
        fold.fold(record)
        if fold.place is not None and fold.place.offset == record.offset:
            seen.append(fold.place.position.order // position(1))
    for n in range(len(past) + 1):
        for until in (by_time(n), by_position(n)):
            told = look_back(log, until)
            if n in seen:
                assert told.doubt(0) is None
                assert served(told) == truth(past[n])
            else:
                assert told.doubt(0) is not None


@pytest.mark.parametrize("seed", range(40))
def test_what_compaction_took_is_not_guessed(seed: int) -> None:
    """The old part of the log is compacted: what is told is true, and what is young enough is told."""
    rng, log, notes, told = Random(seed), Log().begun(), Notes(), 0
    known: list[State] = states([MORE])
    log.transaction(1, MORE)
    for n in range(2, 10):
        known.append({table: dict(rows) for table, rows in known[-1].items()})
        _happen(rng, log, known[-1], n)
        Worker(log, notes=notes).take()
    old = rng.randint(1, 9)
    cut = max(r.offset for r in log.records if r.shows is not None and r.shows <= old)
    young = [r for r in log.records if r.offset > cut]
    log.records = [r for r in log.records if r.offset <= cut]
    log.compact()
    log.records += young
    for n in range(1, 10):
        past = look_back(log, by_time(n), notes.swept)
        if past.doubt(1000 * (old + 1)) is None:
            assert served(past) == truth(known[n]), n
            told += 1
        else:
            assert n < old or past.misses_sweeps, n
    assert told


@pytest.fixture
def log() -> Log:
    log = Log().begun()
    log.snapshot(2, states([FIRST])[1])
    log.transaction(4, [quant(1, 1, 1, 7)])
    return log


def doubt(log: Log, until: Moment, complete_from_ms: int = 0) -> str:
    told = look_back(log, until).doubt(complete_from_ms)
    return told.why if told else ""


def test_between_two_commits_it_is_the_first_ones(log: Log) -> None:
    for n in (2, 3):
        past = look_back(log, by_time(n))
        assert past.fold.place is not None
        assert past.fold.place.position == Position(position(2))
        assert served(past) == truth(states([FIRST])[1])


def test_what_the_log_cannot_tell(log: Log) -> None:
    assert "begins with the snapshot of 1970-01-01T00:00:02.000Z" in doubt(log, by_time(1))
    assert "complete up to 1970-01-01T00:00:04.000Z" in doubt(log, by_time(5))
    assert "complete up to" in doubt(log, by_position(5))
    assert "no complete snapshot" in doubt(Log().begun(), Moment())
    log.snapshot(6, states([FIRST])[1])
    log.transaction(7, [quant(1, 1, 1, 8)])
    assert "a snapshot follows on 1970-01-01T00:00:04.000Z" in doubt(log, by_time(5))
    assert [doubt(log, by_time(n)) for n in (4, 6, 7)] == ["", "", ""]


def test_a_snapshot_that_was_cut_off_is_no_past(log: Log) -> None:
    log.snapshot(6, states([FIRST])[1], cut_off=2)
    log.end(8)
    assert "a snapshot follows on 1970-01-01T00:00:04.000Z" in doubt(log, by_time(7))
    assert doubt(log, by_time(4)) == ""


def test_a_snapshot_without_its_last_row_has_its_time() -> None:
    log, state = Log().begun(), states([FIRST])[1]
    state["quant"].clear()
    log.snapshot(2, state)
    log.begin(3)
    log.snapshot(2, state, cut_off=1)
    log.snapshot(3, states([FIRST])[1])
    past = look_back(log, by_time(2))
    assert past.doubt(0) is None
    assert past.place is not None
    assert past.place.time_ms == 2000


def test_a_hole_dates_what_can_be_told(log: Log) -> None:
    log.transaction(5, [quant(1, 1, 1, 8)])
    del log.records[4]
    assert "compacted, and complete from 1970-01-01T00:00:06" in doubt(log, by_time(4), 6000)
    assert doubt(log, by_time(4), 5000) == ""
    assert doubt(log, Moment(), 9000) == "", "the log's end is always whole"


def test_a_hole_behind_the_last_cut_that_is_left_counts(log: Log) -> None:
    before = len(log.records)
    log.transaction(5, [quant(1, 1, 1, 8)])
    after = len(log.records)
    log.transaction(6, [quant(1, 1, 1, 9)])
    del log.records[before:after]
    assert "compacted, and complete from 1970-01-01T00:00:07" in doubt(log, by_time(5), 7000)
    assert doubt(log, by_time(5), 6000) == ""


def test_an_open_transaction_is_no_part_of_the_end(log: Log) -> None:
    log.begin(6)
    log.change(6, quant(1, 1, 1, 99))
    assert served(look_back(log, Moment())) == truth(states([FIRST, [quant(1, 1, 1, 7)]])[2])
