"""What came out, as a file to commit: figures, then each mutant that was not found, and why it need not be."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from tests.mutation.mutants import total
from tests.mutation.trial import Outcome

LAST_RUN = Path(__file__).parent / "last_run.md"
ARGUED = Path(__file__).parent / "argued.toml"
_BY = {"record": "the record", "tests": "tests", "time": "time", "": "not found"}


def write(outcomes: Sequence[Outcome], seed: int) -> str:
    """Writes `last_run.md`; its summary."""
    lost = [o for o in outcomes if not o.found_by]
    argued = {o: why for o in lost if (why := argument(o))}
    summary = "\n".join(_summary(outcomes, len(lost), len(argued)))
    head = f"# {len(outcomes)} mutants of {total()}, seed {seed}\n\n{summary}\n"
    parts = [head, "\n".join(_table(outcomes)), *_listed(argued), *_rest(outcomes, argued)]
    LAST_RUN.write_text("\n".join(parts))
    return summary


def argument(outcome: Outcome) -> str:
    """Why nothing need find it; "" where nothing is said."""
    name = outcome.mutant.name
    for entry in tomllib.loads(ARGUED.read_text())["argument"]:
        if name in entry.get("mutants", ()) or any(re.search(p, name) for p in entry.get("patterns", ())):
            return str(entry["why"])
    return ""


def _summary(outcomes: Sequence[Outcome], lost: int, argued: int) -> Iterator[str]:
    count, seconds = len(outcomes), [o.seconds for o in outcomes]
    found = count - lost
    yield f"Found: {found} of {count}, {found / count:.1%}; without those argued below {found} of {count - argued},"
    yield f"{found / (count - argued):.1%}. CPU time a mutant: {mean(seconds):.1f} s, at most {max(seconds):.1f} s."


def _table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    counts = Counter((o.mutant.file, _how(o)) for o in outcomes)
    yield f"| file | mutants | {' | '.join(_BY.values())} |"
    yield "|---|---|" + "---|" * len(_BY)
    for file in sorted({o.mutant.file for o in outcomes}):
        by = [counts[file, how] for how in _BY]
        yield f"| {file.removeprefix('pipeline/')} | {sum(by)} | {' | '.join(map(str, by))} |"
    sums = [sum(_how(o) == how for o in outcomes) for how in _BY]
    yield f"| all | {len(outcomes)} | {' | '.join(map(str, sums))} |"


def _how(outcome: Outcome) -> str:
    if outcome.found_by in ("", "time"):
        return outcome.found_by
    return "record" if outcome.found_by.startswith("record") else "tests"


def _listed(argued: dict[Outcome, str]) -> Iterator[str]:
    yield "\n## Not found, and why they need not be"
    for why in dict.fromkeys(argued.values()):
        yield f"\n### {why}\n"
        yield from (_shown(o) for o, said in argued.items() if said == why)


def _rest(outcomes: Sequence[Outcome], argued: dict[Outcome, str]) -> Iterator[str]:
    yield "\n## Not found\n"
    yield from (_shown(o) for o in outcomes if not o.found_by and o not in argued)
    yield "\n## Found because time ran out\n"
    yield from (_shown(o) for o in outcomes if o.timed_out)
    yield ""


def _shown(outcome: Outcome) -> str:
    m = outcome.mutant
    return f"- {m.file}:{m.line} `{m.function}`\n  ```diff\n  - {m.before}\n  + {m.after}\n  ```"
