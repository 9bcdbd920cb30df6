"""Runs the fuzz targets for a time, or one example again.

python -m tests.query.fuzz --minutes 10 --seed 7
python -m tests.query.fuzz --replay sql:<what a failure printed>
"""

import base64
import pickle
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.query.fuzz import sql, toml

TARGETS = {"sql": (sql.examples, sql.outcome, 6), "toml": (toml.examples, toml.outcome, 1)}
BATCH = 200


class FoundError(AssertionError):
    """A target failed; the message ends with the command that runs the example again."""


@dataclass
class Run:
    """What was tried so far, by target and outcome."""

    counts: Counter[str] = field(default_factory=Counter)

    def batch(self, target: str, number: int, *, examples: int = BATCH, fixed: bool = False) -> None:
        """`examples` examples of a target; the seed decides which. FoundError with the shrunk example."""
        strategy, outcome, _ = TARGETS[target]
        last: list[Any] = []

        @settings(
            max_examples=examples, derandomize=fixed, deadline=None, database=None, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
        )  # fmt: skip
        @given(strategy())
        def check(example: Any) -> None:
            last[:] = [example]
            self.counts[f"{target} {outcome(example)}"] += 1

        try:
            (check if fixed else seed(number)(check))()
        except Exception as error:
            raise FoundError(
                f"{error!r}\nrun it again: python -m tests.query.fuzz --replay {packed(target, last[0])}"
            ) from error

    def until(self, ends: float, first_seed: int, each: Callable[[], float] = time.monotonic) -> int:
        """Batches of all targets, SQL mostly, until `ends`; the next unused seed."""
        number = first_seed
        while each() < ends:
            for target, (_, _, share) in TARGETS.items():
                for _ in range(share):
                    if each() < ends:
                        self.batch(target, number, examples=BATCH if ends - each() > 30 else 25)
                        number += 1
        return number


def packed(target: str, example: Any) -> str:
    """An example as a word for the command line."""
    return f"{target}:{base64.urlsafe_b64encode(zlib.compress(pickle.dumps(example))).decode()}"


def replay(word: str) -> str:
    """Run one example again; its outcome, or the exception as it is."""
    target, _, data = word.partition(":")
    example = pickle.loads(zlib.decompress(base64.urlsafe_b64decode(data)))  # our own output
    return f"{example}\n{TARGETS[target][1](example)}"
