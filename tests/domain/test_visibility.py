import pytest

from pipeline.domain.change import End, Position, SnapshotRow
from pipeline.domain.times import iso, milliseconds
from pipeline.domain.visibility import Visibility


def end(position: int) -> End:
    return End(Position(position), 0, 1)


def test_older_transactions_again_stay_hidden_until_a_newer_end() -> None:
    visible = Visibility()
    assert [visible.end(end(p)) for p in (10, 20, 30)] == [True, True, True]
    # Connect was killed: 20 and 30 come again, and at 30 rows of a 40 that was cut off may stand
    assert [visible.end(end(p)) for p in (15, 20, 30, 40)] == [False, False, False, True]
    assert visible.served == Position(40)


def test_a_snapshot_cut_off_and_begun_again_forgets_the_first_attempt() -> None:
    visible = Visibility()
    for stage, pk in (("first", 1), ("true", 2), ("first", 2), ("true", 3)):
        visible.snapshot_row(SnapshotRow("t", pk, object(), stage, Position(5), 0))
        assert visible.in_snapshot
    assert visible.snapshot_end(Position(5)) == {"t": {2, 3}}
    assert not visible.in_snapshot
    assert visible.served == Position(5)


def test_a_snapshot_needs_no_first_row() -> None:
    visible = Visibility()
    for at, stage, pk in ((5, "true", 1), (5, "true", 2), (6, "first_in_data_collection", 2), (6, "true", 3)):
        visible.snapshot_row(SnapshotRow("t", pk, object(), stage, Position(at), 0))
    assert visible.snapshot_end(None) == {"t": {2, 3}}
    assert visible.served == Position(6)


@pytest.mark.parametrize("abandoned", [True, False])
def test_after_a_snapshot_beside_an_old_slot_what_it_saw_is_not_shown_again(abandoned: bool) -> None:
    """The slot stands at 5, the snapshot saw all up to 8, which was committed at 80 ms, and was read at 90 ms."""
    visible = Visibility()
    if abandoned:
        visible.snapshot_row(SnapshotRow("t", 1, object(), "first", Position(5), 50, 50))
    else:
        assert visible.end(End(Position(6), 60, 1))
    visible.snapshot_row(SnapshotRow("t", 1, object(), "first", Position(5), 80, 85))
    visible.snapshot_end(Position(5), 90)
    shown = [at for at in (6, 7, 8, 10) if visible.end(End(Position(at), at * 10, 1))]
    assert shown == [10]


def test_a_slot_may_stand_beyond_the_last_end() -> None:
    """Heartbeats moved it to 7 after the END at 6; the snapshot saw all up to 9 and was read at 90 ms."""
    visible = Visibility()
    assert visible.end(End(Position(6), 60, 1))
    visible.snapshot_row(SnapshotRow("t", 1, object(), "first", Position(7), 80, 85))
    visible.snapshot_end(Position(7), 90)
    assert [at for at in (8, 9, 10) if visible.end(End(Position(at), at * 10, 1))] == [10]


def test_after_a_snapshot_of_a_new_slot_the_next_transaction_is_shown() -> None:
    visible = Visibility(Position(4))
    visible.snapshot_row(SnapshotRow("t", 1, object(), "first", Position(5), 80, 85))
    visible.snapshot_end(Position(5), 90)
    assert visible.end(End(Position(6), 60, 1))


def test_incremental_rows_start_no_snapshot() -> None:
    visible = Visibility()
    visible.snapshot_row(SnapshotRow("t", 1, object(), "incremental", None, 0))
    assert not visible.in_snapshot


def test_positions_and_times_are_written_as_people_know_them() -> None:
    assert str(Position(0x1_0152_E1F0)) == "1/152E1F0"
    assert Position.parse("1/152E1F0").order == 0x1_0152_E1F0
    assert milliseconds(iso(1_795_000_000_123)) == 1_795_000_000_123
