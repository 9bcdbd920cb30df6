"""The mutation run itself, in small: what it plants is found, and without checks nothing is."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.checks import record
from tests.mutation.mutants import sample
from tests.mutation.report import argument
from tests.mutation.run import tried
from tests.mutation.trial import Outcome

FILES = ("pipeline/query/unit.py", "pipeline/query/fuse.py", "pipeline/query/maintain.py", "pipeline/domain/levels.py")
SEED = 6  # the record finds all of its mutants


def not_found(outcomes: Sequence[Outcome]) -> list[str]:
    return [o.mutant.name for o in outcomes if not o.found_by and not argument(o)]


def test_the_record_finds_a_sample() -> None:
    assert not_found(tried(sample(25, SEED, FILES), record())) == []


def test_an_empty_record_finds_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "answers.json.gz"
    empty.write_bytes(gzip.compress(b"[]"))
    mutants = sample(3, SEED, FILES)
    assert not_found(tried(mutants, record(empty))) == [m.name for m in mutants]
