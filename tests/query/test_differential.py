"""Whatever order, repetition or gap a log has: the maintained answer equals the database's for the final rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from tests.query.conftest import TINY
from tests.query.differential.batch import Batch, Counts
from tests.query.differential.databases import Database
from tests.query.differential.shapes import SHAPES

HISTORIES = 6  # of a batch
BATCHES = {"postgres": 240, "mysql": 84}
ON_DISK = {"postgres": 36, "mysql": 12}
PROMISED = {"postgres": 1000, "mysql": 300}
# A pack of an ERP has ten tables and more, the others three: it is drawn less often.
DRAWN = [shape for shape in SHAPES for _ in range(1 if shape == "packs" else 4)]


@dataclass(frozen=True)
class Run:
    """Batches of random shapes against one database. A batch reduces what it finds by itself, so nothing is shrunk."""

    database: Database
    batches: int
    store: Callable[[], Store] = MemoryStore

    def __call__(self) -> Counts:
        counts = Counts()

        @settings(
            max_examples=self.batches, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        @given(st.sampled_from(DRAWN), st.integers(0, 10**9))
        def check(shape: str, seed: int) -> None:
            batch = Batch(self.database.dialect, shape, seed, HISTORIES)
            batch.run(self.database, counts, reduce=True, store=self.store)

        check()
        return counts


def tell(capsys: pytest.CaptureFixture[str], counts: Counts, where: str, dialect: str) -> None:
    with capsys.disabled():
        print(f"\n{counts.histories} histories, rows {where}, equal {dialect}'s answer: {dict(counts.shapes)}")  # noqa: T201 -- the figure belongs into the run's output


@pytest.mark.parametrize("dialect", BATCHES)
def test_maintained_answers_equal_the_databases(
    dialect: str, databases: dict[str, Database], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = Run(databases[dialect], BATCHES[dialect])()
    tell(capsys, counts, "in memory", dialect)
    assert counts.histories >= PROMISED[dialect]
    assert len(counts.shapes) >= 8
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

    counts = Run(databases[dialect], ON_DISK[dialect], store)()
    made[-1].close()
    tell(capsys, counts, "on disk", dialect)
    assert counts.histories >= ON_DISK[dialect] * HISTORIES * 0.8
