"""`make fuzz-text MINUTES=n SEED=s`. `last_run.json` holds the figures of a long run, with branch coverage."""

# ruff: noqa: T201 -- a program that prints its findings

import argparse
import json
import random
import time

from tests.query.fuzz.run import Run, replay


def main() -> None:
    """Run, print what was tried as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.query.fuzz")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--replay", default="")
    asked = parser.parse_args()
    if asked.replay:
        print(replay(asked.replay))
        return
    print(f"seed {asked.seed}", flush=True)
    run = Run()
    last = run.until(time.monotonic() + asked.minutes * 60, asked.seed)
    print(
        json.dumps({"seed": asked.seed, "last_seed": last - 1, "minutes": asked.minutes, "examples": dict(run.counts)})
    )


main()
