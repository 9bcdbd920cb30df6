"""Rows on disk under the fold: of the offset that was folded, and nothing is published once the disk refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domain.errors import NotReadyError
from pipeline.query.disk import DiskStore
from tests.streams.erp import Log, item, new_fold, place, quant, states, truth
from tests.streams.test_fold import follow
from tests.streams.test_publish import FIRST, RIM, Worker


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    store = DiskStore(tmp_path / "rows", "small", cache=2_000, batch=1)
    yield store
    store.close()


def test_the_store_is_of_the_last_offset_folded(store: DiskStore) -> None:
    log = Log().begun()
    log.transaction(1, FIRST)
    worker = Worker(log, store=store).take()
    assert store.offset == worker.ledger.folded == len(log.records) - 1
    log.begin(2)
    log.change(2, quant(1, 1, 1, 9))
    worker.take()
    assert store.offset == worker.ledger.folded == len(log.records) - 1
    log.end(2)
    assert worker.take().redis.served[RIM]["on_hand"] == "9.00"


def test_what_the_disk_refused_is_not_published(store: DiskStore, tmp_path: Path) -> None:
    log = Log().begun()
    log.transaction(1, FIRST)
    worker = Worker(log, store=store).take()
    published = worker.ledger.published
    log.transaction(2, [quant(1, 1, 1, 9)])
    store.txn.abort()  # so that LMDB refuses whatever comes next
    with pytest.raises(NotReadyError, match="cannot be used"):
        worker.take()
    assert worker.ledger.published == published
    assert worker.redis.served[RIM]["on_hand"] == "5.00"
    assert not (tmp_path / "rows" / "identity.json").exists()


def test_a_second_snapshot_ends_ghosts(store: DiskStore) -> None:
    first = [item(i, f"I{i}") for i in range(30)] + [place(1, "x", "W1"), *(quant(i, i % 30, 1, i) for i in range(90))]
    gone = [op for i in range(0, 90, 3) for op in [quant(i, 0, None, 0)]]
    past = states([first])
    later = {table: dict(rows) for table, rows in past[1].items()}
    for op in gone:
        del later[op.table][op.pk]
    log = Log().begun()
    log.snapshot(1, past[1], cut_off=40)
    log.snapshot(1, past[1])
    log.snapshot(2, later)
    fold, served = new_fold(store), {}
    for record in log.records:
        fold.fold(record)
        store.flush(record.offset)
        follow(served, fold.levels.documents())
    assert served == truth(later)
    assert fold.rows == sum(map(len, later.values())) == 91
