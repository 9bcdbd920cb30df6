"""The campaign: random batches for some minutes, or one seed again.

python -m tests.query.differential MINUTES [--seed BASE] [--dialect D] [--shape S]
python -m tests.query.differential --dialect D --shape S --seed SEED     # that batch alone, its history reduced
"""

import argparse
import sys
import time
from collections.abc import Iterator
from random import Random, SystemRandom

from infra.stack import Stack
from tests.query.differential.batch import Batch, Counts, DifferenceFoundError
from tests.query.differential.databases import Database, MariadbDatabase, PostgresDatabase
from tests.query.differential.shapes import SHAPES

PARTS = {"postgres": "postgres", "mysql": "mariadb"}
HISTORIES = 6  # of a batch


def main(argv: list[str] | None = None) -> int:
    """0 when everything agreed, 1 at the first difference."""
    parser = argparse.ArgumentParser(prog="make fuzz-query", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--dialect", choices=PARTS)
    parser.add_argument("--shape", choices=SHAPES)
    asked = parser.parse_args(argv)
    dialects = [asked.dialect] if asked.dialect else list(PARTS)
    if asked.minutes is None and not (asked.dialect and asked.shape and asked.seed is not None):
        parser.error("say for how many minutes, or dialect, shape and seed of one batch")
    with Stack(parts=[PARTS[d] for d in dialects], fsync=False) as stack:
        databases = {d: _database(d, stack) for d in dialects}
        if asked.minutes is None:
            return _run([Batch(asked.dialect, asked.shape, asked.seed, HISTORIES)], databases)
        base = SystemRandom().randrange(10**9) if asked.seed is None else asked.seed
        say(f"base seed {base}")
        shapes = [asked.shape] if asked.shape else list(SHAPES)
        return _run(_batches(dialects, shapes, base, time.monotonic() + 60 * asked.minutes), databases)


def _database(dialect: str, stack: Stack) -> Database:
    return PostgresDatabase(stack.postgres) if dialect == "postgres" else MariadbDatabase(stack.mariadb)


def _batches(dialects: list[str], shapes: list[str], base: int, end: float) -> Iterator[Batch]:
    rng = Random(base)
    while time.monotonic() < end:
        for shape in shapes:
            for dialect in dialects:
                yield Batch(dialect, shape, rng.randrange(10**9), HISTORIES)


def _run(batches: Iterator[Batch] | list[Batch], databases: dict[str, Database]) -> int:
    began, counts = time.monotonic(), {}
    try:
        for batch in batches:
            batch.run(databases[batch.dialect], counts.setdefault((batch.dialect, batch.shape), Counts()), reduce=True)
    except DifferenceFoundError as e:
        say(f"DIFFERENCE in {batch.dialect} {batch.shape} seed {batch.seed}: {e}")
        return 1
    finally:
        _report(counts, time.monotonic() - began)
    return 0


def _report(counts: dict[tuple[str, str], Counts], seconds: float) -> None:
    for (dialect, shape), c in sorted(counts.items()):
        refused = f", refused {dict(c.refused)}" if c.refused else ""
        filled = f"{c.filled} of {c.views} answers of several rows"
        say(f"{dialect:9} {shape:11} {c.histories:6} histories, {filled}{refused}")
    total = sum(c.histories for c in counts.values())
    say(f"{total} histories equal the database's answer, {total / seconds:.1f} a second")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
