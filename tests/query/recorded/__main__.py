"""Records `answers.json.gz` anew: python -m tests.query.recorded

Draws candidates, keeps those that reach lines and branches of the engine and the fold that none before them reached.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from time import process_time

from coverage import Coverage

import pipeline
from infra.stack import Stack
from pipeline.domain.errors import PackError
from tests.query.differential.batch import Batch
from tests.query.differential.databases import Database, MariadbDatabase, PostgresDatabase, Question
from tests.query.differential.history import Event, Player
from tests.query.differential.mapping import Mapping
from tests.query.differential.shapes import SHAPES
from tests.query.recorded.case import FILE, Case, History, save
from tests.query.recorded.documents import Expected

HISTORIES = 6  # of a case: compiling costs more than playing them
SEEDS = 12  # candidates a shape and dialect
SECONDS = 0.9  # CPU time of all replays
ROOT = Path(pipeline.__file__).parent
MEASURED = [str(ROOT / "query" / "*.py"), str(ROOT / "domain" / "*.py")]
Arcs = frozenset[tuple[str, tuple[int, int]]]


def main() -> int:
    with Stack(parts=["postgres", "mariadb"], fsync=False) as stack:
        databases = (PostgresDatabase(stack.postgres), MariadbDatabase(stack.mariadb))
        candidates = [case for database in databases for case in _candidates(database)]
    chosen = _chosen([(case, *_measured(case)) for case in candidates])
    save(chosen)
    histories = sum(len(c.histories) for c in chosen)
    sys.stdout.write(f"{len(chosen)} cases, {histories} histories, {FILE.stat().st_size} bytes\n")
    return 0


def _candidates(database: Database) -> Iterator[Case]:
    for shape in SHAPES:
        for seed in range(SEEDS):
            batch = Batch(database.dialect, shape, seed, HISTORIES)
            try:
                yield _record(database, batch, batch.mapping)
            except PackError:
                continue


def _record(database: Database, batch: Batch, mapping: Mapping) -> Case:
    name = f"{batch.dialect} {batch.shape} {batch.seed}"
    with database.tables(mapping) as catalog:
        case = Case(name, catalog.to_dict(), mapping.queries, mapping.params, [])
        views = case.compile()[0].views
        queries = {kind: view.erp_sql() for kind, view in views.items()}
        played = [_played(mapping, batch, n) for n in range(HISTORIES)]
        questions = [Question(player.erp.rows, player.today, queries) for _, player in played]
        answers = database.answers(questions)
        case.histories = [History(feed, answer) for (feed, _), answer in zip(played, answers, strict=True)]
        if isinstance(database, PostgresDatabase) and "stock" in views:
            case.served = True
            for history, question in zip(case.histories, questions, strict=True):
                with database.filled(question) as connection:
                    expected = Expected(connection, views["stock"])
                    history.documents, history.negative = expected.documents(database.on_day(question, "stock"))
    return case


def _played(mapping: Mapping, batch: Batch, n: int) -> tuple[list[Event | None], Player]:
    feed: list[Event | None] = []
    player = Player(mapping, feed.append, lambda: feed.append(None))
    player.play(batch.history(mapping, n))
    return feed, player


def _measured(case: Case) -> tuple[Arcs, float]:
    """The branches a replay takes, and its CPU seconds without the measuring."""
    began = process_time()
    case.replay()
    seconds = process_time() - began
    coverage = Coverage(data_file=None, branch=True, include=MEASURED, config_file=False)
    with coverage.collect():
        case.replay()
    data = coverage.get_data()
    return frozenset((f, arc) for f in data.measured_files() for arc in data.arcs(f) or ()), seconds


def _chosen(measured: Sequence[tuple[Case, Arcs, float]]) -> list[Case]:
    """First those that reach most that is new for their time, then any until the time is used up."""
    left, reached, chosen, seconds = list(measured), set(), [], 0.0
    while left and seconds < SECONDS:
        best = max(left, key=lambda m: len(m[1] - reached) / m[2])
        if not best[1] - reached:
            best = Random(len(left)).choice(left)
        left.remove(best)
        reached |= best[1]
        seconds += best[2]
        chosen.append(best[0])
    return chosen


if __name__ == "__main__":
    sys.exit(main())
