"""A sample of mutants, tried one after the other inside of one pytest session, which has read all tests."""

import sys
from collections.abc import Sequence

import pytest
from hypothesis import Phase, settings

from tests.mutation import checks
from tests.mutation.checks import Check
from tests.mutation.mutants import Mutant, sample
from tests.mutation.trial import Outcome, in_child, try_out

_OPTIONS = ("-qq", "--capture=no", "--assert=plain", "-p", "no:cacheprovider")
# A failing example need not be made small, and none is remembered.
settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=[Phase.generate])


def run(count: int, seed: int) -> list[Outcome]:
    """A sample against everything."""
    session = _Session(sample(count, seed))
    settings.load_profile("mutants")
    status = pytest.main([*_OPTIONS, *checks.TESTS], plugins=[session])
    assert not status, f"pytest ended with {status}"
    return session.outcomes


class _Session:
    """A plugin of pytest that tries mutants instead of running the tests."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self.mutants = mutants
        self.outcomes: list[Outcome] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.outcomes = tried(self.mutants, [*checks.record(), *checks.tests(session.items)])
        return True


def tried(mutants: Sequence[Mutant], unmeasured: Sequence[Check]) -> list[Outcome]:
    """Each mutant against checks."""
    known, outcomes = _measured(unmeasured), []
    for n, mutant in enumerate(mutants, 1):
        outcomes.append(try_out(mutant, known))
        sys.stderr.write(f"\r{n} of {len(mutants)}, {sum(not o.found_by for o in outcomes)} not found ")
    return outcomes


def _measured(unmeasured: Sequence[Check]) -> list[Check]:
    """Run in a process of their own: what the code remembers between calls, mutants must work out themselves."""
    facts, _ = in_child(lambda: [(m.seconds, m.lines) for m in map(checks.measured, unmeasured)], 120)
    assert facts is not None, "a check fails without a mutant"
    return [Check(c.name, c.run, *fact) for c, fact in zip(unmeasured, facts, strict=True)]
