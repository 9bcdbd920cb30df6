"""The campaign's own book-keeping: which faults there are, and what a report says of them."""

import json

import pytest

from tests.faults import report
from tests.faults.campaign import choose
from tests.faults.catalogue import FAULTS
from tests.faults.duplicates import change_of
from tests.faults.registry import LEFT_OUT
from tests.faults.run import Outcome


def test_every_number_has_a_fault_or_a_reason() -> None:
    here = {fault.number for fault in FAULTS.values()}
    assert len(here) >= 30
    assert {f"F{n}" for n in range(1, 41) if n not in here} == LEFT_OUT.keys()


def test_at_least_twelve_are_short() -> None:
    assert len({fault.number for fault in FAULTS.values() if fault.short}) >= 12


def test_faults_are_chosen_by_number_or_by_letter() -> None:
    assert [fault.id for fault in choose(["F7"])] == ["F7a", "F7b"]
    assert [fault.id for fault in choose(["F11b", "F9"])] == ["F9", "F11b"]
    assert len(choose([])) == len(FAULTS)
    with pytest.raises(SystemExit, match="no fault is called F99"):
        choose(["F99"])


def test_a_number_converges_when_all_its_faults_do_and_silence_is_counted() -> None:
    outcomes = [
        Outcome(FAULTS["F7a"], 1, recovery=2.0, duplicates=3),
        Outcome(FAULTS["F7b"], 1, recovery=4.04, why="verify: 2 differ", silent=True),
        Outcome(FAULTS["F9"], 1),
        Outcome(FAULTS["F8"], 1, left_out="a small disk takes the right to mount one"),
    ]
    said = json.loads(report.summary(outcomes, 61.4))
    assert (said["faults"], said["converged"], said["silent"], said["runs"]) == (2, 1, 1, 3)
    assert (said["runs_converged"], said["duplicates"], said["max_recovery_s"], said["seconds"]) == (2, 3, 4.0, 61)
    assert said["left_out"] == [*LEFT_OUT, "F8"]
    assert report.line(outcomes[1]).endswith("Kafka killed: SILENT: verify: 2 differ")
    assert report.line(outcomes[3]).endswith("left out: a small disk takes the right to mount one")


def test_the_same_change_of_the_same_row_is_a_duplicate() -> None:
    value = b'{"op":"u","source":{"lsn":7},"after":{}}'
    assert change_of(b"k", value) == change_of(b"k", value.replace(b'"after":{}', b'"ts_ms":1')) is not None
    others = (
        change_of(b"l", value),
        change_of(b"k", value.replace(b"7", b"8")),
        change_of(b"k", value.replace(b"u", b"d")),
    )
    assert change_of(b"k", value) not in others
    assert change_of(b"k", b'{"op":"m","source":{"lsn":7}}') is None
    assert change_of(b"k", b"not JSON") is None
