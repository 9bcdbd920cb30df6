"""Which checks a mutant is tried against, in which order: there is no time for all."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from tests.mutation.checks import Check, Function
from tests.mutation.mutants import Mutant

_SECONDS = 1.6  # of CPU time, as measured for the code: a machine in use is slower at times


def selected(mutant: Mutant, checks: Sequence[Check]) -> list[Check]:
    """Those that call the function, as long as there is time.

    First few of the record and some tests that run all lines of it between them, tests twice. Then most of the time is
    for tests: those that run the mutant's own line, and those of single constructs, which are many and alike, last.
    """
    function = mutant.file, mutant.function
    calling = [c for c in checks if function in c.lines]
    of_record, tests = [c for c in calling if c.of_record], [c for c in calling if not c.of_record]
    tests.sort(key=lambda c: (mutant.line not in c.lines[function], "constructs" in c.name, _shuffled(c)))
    once = list(_covering(tests, function))
    twice = list(_covering([c for c in tests if c not in once], function))
    few = _within(_SECONDS, [*_covering(of_record, function), *once, *twice])
    left = _SECONDS - _seconds(few)
    more = _within(left * 2 / 3, [c for c in tests if c not in few])
    rest = [c for c in (*of_record, *tests) if c not in few and c not in more]
    return [*few, *more, *_within(left - _seconds(more), rest)]


def _shuffled(check: Check) -> bytes:
    return sha256(check.name.encode()).digest()


def _within(seconds: float, checks: Iterable[Check]) -> list[Check]:
    chosen: list[Check] = []
    for check in checks:
        if _seconds(chosen) + check.seconds <= seconds:
            chosen.append(check)
    return chosen


def _seconds(checks: Iterable[Check]) -> float:
    return sum(c.seconds for c in checks)


def _covering(checks: list[Check], function: Function) -> Iterator[Check]:
    """The next is always the one that runs most lines, which none before it runs, for its time."""
    reached: set[int] = set()
    while checks:
        best = max(checks, key=lambda c: len(c.lines[function] - reached) / c.seconds)
        if not best.lines[function] - reached:
            return
        reached |= best.lines[function]
        yield best
