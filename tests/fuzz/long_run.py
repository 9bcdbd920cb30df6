"""A target for ten minutes with branch coverage, its figures kept in `last_run.json`.

python -m tests.fuzz.long_run record --seed 7
"""

import argparse
import json
import random
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage

from tests.fuzz import TARGETS

FILE = Path(__file__).parent / "last_run.json"


def main() -> None:
    """Run, keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.long_run")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    watch = coverage.Coverage(branch=True, source=["pipeline", "streams"], data_file=None)
    watch.start()
    module = import_module(f"tests.fuzz.{asked.target}")
    found = module.run(asked.minutes * 60, asked.seed, lambda text: print(text, flush=True))  # noqa: T201
    watch.stop()
    keep(found, watch, module.COVERED)


def keep(found: dict[str, Any], watch: coverage.Coverage, covered: tuple[str, ...]) -> None:
    """Write the figures of a run beside those of the other targets."""
    report = FILE.parent / ".coverage.json"
    included = [
        pattern
        for name in covered
        for pattern in (f"*/{name.replace('.', '/')}.py", f"*/{name.replace('.', '/')}/*.py")
    ]
    watch.json_report(outfile=str(report), include=included)
    totals = json.loads(report.read_text())["totals"]
    report.unlink()
    figures = {
        "covered": list(covered), "branch_coverage_percent": round(totals["percent_branches_covered"], 1),
        "branches": [totals["covered_branches"], totals["num_branches"]],
        "coverage_percent": round(totals["percent_covered"], 1),
    }  # fmt: skip
    known = json.loads(FILE.read_text())
    FILE.write_text(f"{json.dumps(known | {found['target']: found | figures}, indent=1)}\n")


if __name__ == "__main__":
    main()
