"""Whatever order, repetition or gap a log has: the maintained answer equals the database's for the final rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import pytest

from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from tests.query.conftest import TINY
from tests.query.differential.batch import Batch, Counts
from tests.query.differential.databases import Database
from tests.query.differential.shapes import SHAPES

HISTORIES = 6  # of a batch
BATCHES = {"postgres": 20, "mysql": 7}  # of a shape
ON_DISK = {"postgres": 3, "mysql": 1}
PACKS = 5  # a pack of an ERP has ten tables and more, the others three
PROMISED = {"postgres": 1000, "mysql": 300}


@dataclass(frozen=True)
class Run:
    """Batches of every shape against one database."""

    databases: dict[str, Database]
    dialect: str
    batches: dict[str, int]
    store: Callable[[], Store] = MemoryStore

    def __call__(self, where: str, capsys: pytest.CaptureFixture[str]) -> Counts:
        rng, counts = Random(base := SystemRandom().randrange(10**9)), Counts()
        for shape in SHAPES:
            batches = min(self.batches[self.dialect], PACKS if shape == "packs" else 100)
            before = counts.histories
            while counts.histories < before + batches * HISTORIES:
                batch = Batch(self.dialect, shape, rng.randrange(10**9), HISTORIES)
                batch.run(self.databases[self.dialect], counts, reduce=True, store=self.store)
        with capsys.disabled():
            print(f"\n{counts.histories} histories, rows {where}, equal {self.dialect}'s answer, base seed {base}")  # noqa: T201 -- the figure belongs into the run's output
        return counts


@pytest.mark.parametrize("dialect", BATCHES)
def test_maintained_answers_equal_the_databases(
    dialect: str, databases: dict[str, Database], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = Run(databases, dialect, BATCHES)("in memory", capsys)
    assert counts.histories >= PROMISED[dialect]
    assert len(SHAPES) >= 8
    # What is refused is not compared, and an empty answer proves nothing: most must leave several groups.
    assert sum(counts.refused.values()) * HISTORIES < counts.histories / 10, counts.refused
    assert counts.filled > counts.views / 3


@pytest.mark.parametrize("dialect", ON_DISK)
def test_rows_on_disk_give_the_same_answers(
    dialect: str, databases: dict[str, Database], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[DiskStore] = []

    def store() -> DiskStore:
        for last in made[-1:]:
            last.close()
        made.append(DiskStore(tmp_path / str(len(made)), "test", cache=TINY, batch=1))
        return made[-1]

    counts = Run(databases, dialect, ON_DISK, store)("on disk", capsys)
    made[-1].close()
    assert counts.histories >= ON_DISK[dialect] * HISTORIES * len(SHAPES)
