"""The reader finds what it is there to find: each kind of lie and of wrong number, and nothing in an honest feed."""

import pytest

from pipeline.domain.times import iso
from tests.faults.observer import Judge

T0 = 1_795_000_000.0
COMMITTED = {n: T0 + n for n in range(1, 100)}  # the probe shows n from T0 + n on


def judge(**tolerated: bool) -> Judge:
    return Judge(COMMITTED.get, lambda: 99, **tolerated)


def see(
    judge: Judge,
    value: float,
    as_of: float,
    at: float | None = None,
    state: str = "live",
    epoch: int = 1,
    left: int = 7,
) -> None:
    probe = {"on_hand": f"{value:.4f}", "v": f"{epoch:010d}.{round(as_of * 1000):016d}"}
    meta = {"state": state, "as_of": iso(round((T0 + as_of) * 1000))}
    judge.see(T0 + (at or as_of + 0.2), meta, probe, {"on_hand": str(left)}, {"on_hand": str(1_000_000 - 7)})


def test_an_honest_feed_is_not_accused() -> None:
    reader = judge()
    for n in range(1, 50):
        see(reader, n, n + 0.5)
    assert (reader.wrong, reader.lies, reader.reads, reader.last) == ([], [], 49, 49)
    assert reader.max_age == pytest.approx(0.2)


def test_older_than_the_age_beside_it_is_a_lie() -> None:
    reader = judge()
    see(reader, 5, 7.5)  # 6 was committed at 6, 7 at 7
    see(reader, 5, 7.6, state="stale")
    assert len(reader.lies) == 2
    assert reader.lies[:1] == ["complete up to 2026-11-18T11:06:47.500Z, without what was committed 1.500 s before"]


def test_old_and_called_healthy_is_a_lie_even_by_a_wrong_clock() -> None:
    reader = judge(unsettled=True)
    see(reader, 5, 70, at=70)
    assert reader.lies == ["64 s old and called healthy"]
    told = judge(unsettled=True)
    see(told, 5, 70, at=70, state="stale")
    assert told.lies == []
    warned = judge()
    see(warned, 5, 7.5, state="degraded")
    assert warned.lies == []


@pytest.mark.parametrize("value", [7.5, -1, 100])
def test_what_was_never_true(value: float) -> None:
    reader = judge()
    see(reader, value, 0)
    assert len(reader.wrong) == 1


def test_going_back_is_wrong_within_an_epoch() -> None:
    reader = judge()
    see(reader, 9, 9.5)
    see(reader, 8, 8.5)
    assert len(reader.wrong) == 1
    see(reader, 3, 3.5, epoch=2)
    assert len(reader.wrong) == 1
    tolerant = judge(puts_back=True)
    see(tolerant, 9, 9.5)
    see(tolerant, 8, 8.5)
    assert tolerant.wrong == []


def test_half_a_transfer_is_wrong_unless_everything_is_being_written_anew() -> None:
    reader = judge()
    see(reader, 1, 1.5, left=8)
    see(reader, 2, 2.5, left=8, state="rebuilding")
    assert len(reader.wrong) == 1
