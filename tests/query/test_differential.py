"""Whatever order, repetition or gap a log has: the maintained answer equals the database's for the final rows."""

from random import Random, SystemRandom

import pytest

from tests.query.differential.batch import Batch, Counts
from tests.query.differential.databases import Database
from tests.query.differential.shapes import SHAPES

# Batches of six histories; a pack of an ERP has ten tables and more, the others three.
BATCHES = {"postgres": 20, "mysql": 7}
HISTORIES = 6


@pytest.mark.parametrize("dialect", BATCHES)
@pytest.mark.parametrize("shape", SHAPES)
def test_maintained_answers_equal_the_databases(
    shape: str, dialect: str, databases: dict[str, Database], capsys: pytest.CaptureFixture[str]
) -> None:
    counts, rng = Counts(), Random(base := SystemRandom().randrange(10**9))
    wanted = BATCHES[dialect] // (4 if shape == "packs" else 1) * HISTORIES
    while counts.histories < wanted:
        Batch(dialect, shape, rng.randrange(10**9), HISTORIES).run(databases[dialect], counts, reduce=True)
        assert sum(counts.refused.values()) <= wanted / HISTORIES / 4, counts.refused
    with capsys.disabled():
        print(f"\n{dialect} {shape}: {counts.histories} histories equal, base seed {base}", end="")  # noqa: T201 -- the figure belongs into the run's output
    # An empty answer proves nothing: many histories must leave several groups.
    assert counts.filled > counts.views / 6


def test_the_counts_are_those_promised() -> None:
    histories = {d: n * HISTORIES * (len(SHAPES) - 1) for d, n in BATCHES.items()}
    assert histories["postgres"] >= 1000
    assert histories["mysql"] >= 300
    assert len(SHAPES) >= 8
