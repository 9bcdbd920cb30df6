"""The campaign: every fault on a source of its own, on a shared stack or on one of its own."""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from infra.stack import DEFAULT_PARTS, Stack
from tests.e2e.source import Source
from tests.faults import report
from tests.faults.catalogue import FAULTS
from tests.faults.registry import Fault, LeftOut
from tests.faults.run import Outcome, run, wait_for

PARTS = tuple(part for part in DEFAULT_PARTS if part != "prometheus")


def campaign(only: Sequence[str], seed: int, minutes: float) -> int:
    """Run them once, then with new seeds until the time is over; the exit code."""
    begun, outcomes = time.monotonic(), list[Outcome]()
    faults = choose(only)
    with Stack(parts=PARTS) as stack:
        while not outcomes or time.monotonic() - begun < minutes * 60:
            for fault in faults:
                if outcomes and 0 < minutes * 60 < time.monotonic() - begun:
                    break
                outcomes.append(one(stack, fault, seed, len(outcomes)))
                report.tell(report.line(outcomes[-1]))
            seed += 1
        stack.keep = not all(o.converged for o in outcomes)
    if not only:
        report.write(outcomes, time.monotonic() - begun)
    for name, reason in report.left_out(outcomes):
        report.tell(f"{name} left out: {reason}")
    report.tell(report.summary(outcomes, time.monotonic() - begun))
    return 0 if all(o.converged for o in outcomes) else 1


def choose(only: Sequence[str]) -> list[Fault]:
    """All, or those named: F7 is F7a and F7b."""
    unknown = [name for name in only if not any(_is(fault, name) for fault in FAULTS.values())]
    if unknown:
        sys.exit(f"no fault is called {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return [fault for fault in FAULTS.values() if not only or any(_is(fault, name) for name in only)]


def _is(fault: Fault, name: str) -> bool:
    return name in {fault.id, re.sub(r"[a-z]$", "", fault.id)}


def one(shared: Stack, fault: Fault, seed: int, n: int) -> Outcome:
    """A fault on a new source. Whatever it breaks, the next one finds the shared servers running."""
    try:
        with fault.stack() if fault.stack else nullcontext(shared) as stack, fresh(stack, fault, n) as source:
            return run(fault, source, seed)
    except LeftOut as e:
        return Outcome(fault, seed, left_out=str(e))
    except Exception as e:  # noqa: BLE001 - the campaign goes on with the next fault
        return Outcome(fault, seed, why=f"could not be set up: {type(e).__name__}: {e}")
    finally:
        shared.start(*PARTS)


@contextmanager
def fresh(stack: Stack, fault: Fault, n: int) -> Iterator[Source]:
    """A source of its own, applied and served unless the fault does that."""
    source = Source(stack, f"{fault.id.lower()}_{n}")
    try:
        with fault.around(source):
            fault.prepare(source)
            if not fault.bare:
                source.apply()
                source.start_worker()
                wait_for(lambda: source.meta().get("state") == "live", "the first snapshot served")
            yield source
    finally:
        stack.start(*PARTS)
        source.remove()
