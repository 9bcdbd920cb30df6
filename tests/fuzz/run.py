"""Runs a target's parts for a time, or one example again."""

import base64
import pickle
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

BATCH, FEW = 50, 10
SLOW = 20.0  # CPU seconds of one example, shared runners included: a thousand times the usual


class Part(NamedTuple):
    """A kind of input: `examples` makes a strategy, `outcome` judges one (a word, or it raises); its share of time."""

    examples: Callable[[], Any]
    outcome: Callable[[Any], str]
    share: int = 1


class FoundError(AssertionError):
    """A part failed; the message ends with the command that runs the example again."""


@dataclass
class Run:
    """What was tried of a target so far, by part and outcome."""

    target: str
    parts: Mapping[str, Part]
    counts: Counter[str] = field(default_factory=Counter)

    def batch(self, part: str, number: int, *, examples: int = BATCH, fixed: bool = False) -> None:
        """`examples` examples of a part; the seed decides which. FoundError with the shrunk example."""
        last: list[Any] = []

        @settings(
            max_examples=examples, derandomize=fixed, deadline=None, database=None, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
        )  # fmt: skip
        @given(self.parts[part].examples())
        def check(example: Any) -> None:
            last[:] = [example]
            began = time.process_time()
            self.counts[f"{part} {self.parts[part].outcome(example)}"] += 1
            if (spent := time.process_time() - began) > SLOW:
                raise AssertionError(f"{spent:.0f} s of CPU")

        try:
            (check if fixed else seed(number)(check))()
        except Exception as error:
            word = f"{part}:{packed(last[0])}"
            again = f"run it again: python -m tests.fuzz {self.target} --replay {word}"
            raise FoundError(f"{error!r}\n{again}") from error

    def until(self, ends: float, first_seed: int, say: Callable[[str], None] = lambda _: None) -> int:
        """Batches of all parts until `ends`; the next unused seed."""
        number = first_seed
        while time.monotonic() < ends:
            for name in (name for name, part in self.parts.items() for _ in range(part.share)):
                if time.monotonic() < ends:
                    self.batch(name, number, examples=BATCH if ends - time.monotonic() > 30 else FEW)
                    number += 1
            say(f"{self.target}: {self.counts.total()} examples, seeds {first_seed} to {number - 1}")
        return number

    def replay(self, word: str) -> str:
        """Run one example again; its outcome, or the exception as it is."""
        part, _, data = word.partition(":")
        example = pickle.loads(zlib.decompress(base64.urlsafe_b64decode(data)))  # our own output
        return f"{example}\n{self.parts[part].outcome(example)}"


def hunt(
    target: str, parts: Mapping[str, Part], seconds: float, first: int, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Try a target for so long; what was tried, and the first failure."""
    run, failures, last = Run(target, parts), list[str](), first
    try:
        last = run.until(time.monotonic() + seconds, first, say)
    except FoundError as e:
        failures = [str(e)]
    return {
        "target": target, "seed": first, "last_seed": max(first, last - 1), "seconds": seconds,
        "count": run.counts.total(), "failures": failures, "outcomes": dict(sorted(run.counts.items())),
    }  # fmt: skip


def packed(example: Any) -> str:
    """An example as a word for the command line."""
    return base64.urlsafe_b64encode(zlib.compress(pickle.dumps(example))).decode()
