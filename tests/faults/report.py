"""What a campaign found: a line a fault, one JSON object, and a file that is committed."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.registry import LEFT_OUT
from tests.faults.run import Outcome

FILE = Path(__file__).parent / "last_run.md"
HEAD = """# The last campaign of faults

`make faults` wrote this. Each fault came under load, was healed, and ended compared with the ERP: `onhand verify`
equal, nothing in quarantine, and what a new worker writes into an empty Redis equal byte by byte. A reader looked a
hundred times a second whether a number went back, was never true, or was older than the age served beside it; such
a run, and one that ends wrong while it is called live, is *silent*.

Max age: the oldest `as_of` that readers saw. Recovery: from the cure until readers see the present. Duplicates: row
changes that are in the log twice.
"""


def tell(line: str) -> None:
    """To stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def line(o: Outcome) -> str:
    """One fault, for people."""
    figures = (
        f"{o.seconds:6.1f} s  max age {o.max_age:6.1f} s  recovery {o.recovery:5.1f} s  duplicates {o.duplicates:6}"
    )
    return f"{o.fault.id:5} seed {o.seed:<4} {figures}  {o.title}: {o.verdict}"


def left_out(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Those of the list that did not run, with the reason."""
    here = {o.fault.id: o.left_out for o in outcomes if o.left_out}
    return [*LEFT_OUT.items(), *here.items()]


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The last line: one JSON object."""
    gone, outcomes = [name for name, _ in left_out(outcomes)], [o for o in outcomes if not o.left_out]
    by_number = {o.fault.number: [p for p in outcomes if p.fault.number == o.fault.number] for o in outcomes}
    return json.dumps({
        "faults": len(by_number),
        "converged": sum(all(o.converged for o in some) for some in by_number.values()),
        "silent": sum(o.silent for o in outcomes),
        "runs": len(outcomes),
        "runs_converged": sum(o.converged for o in outcomes),
        "duplicates": sum(o.duplicates for o in outcomes),
        "max_recovery_s": round(max((o.recovery for o in outcomes), default=0.0), 1),
        "left_out": gone,
        "seconds": round(seconds),
    })  # fmt: skip


def write(outcomes: Sequence[Outcome], seconds: float) -> None:
    """The committed file."""
    columns = ("fault", "what", "seed", "seconds", "max age s", "recovery s", "duplicates", "verdict")
    table = [columns, ("---",) * len(columns), *map(_row, outcomes)]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in table)
    gone = "\n".join(f"- {name}: {reason}" for name, reason in left_out(outcomes))
    FILE.write_text(f"{HEAD}\n    {summary(outcomes, seconds)}\n\n{rows}\n\nLeft out:\n\n{gone}\n")


def _row(o: Outcome) -> tuple[str, ...]:
    figures = (f"{o.seconds:.0f}", f"{o.max_age:.1f}", f"{o.recovery:.1f}", str(o.duplicates))
    return (o.fault.id, o.title, str(o.seed), *figures, o.word)
