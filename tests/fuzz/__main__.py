"""`make fuzz TARGET=record MINUTES=n SEED=s`. `last_run.json` holds the long runs, with branch coverage."""

# ruff: noqa: T201 -- a program that prints its findings

import argparse
import json
import random
import sys
from importlib import import_module

from tests.fuzz import TARGETS
from tests.fuzz.run import Run


def main() -> int:
    """Run a target, print what was tried as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--replay", default="", help="what a failure printed")
    asked = parser.parse_args()
    module = import_module(f"tests.fuzz.{asked.target}")
    if asked.replay and asked.target == "redis_replies":
        parser.error("what Redis says is random step by step: run its --seed again")
    if asked.replay:
        print(Run(asked.target, module.PARTS).replay(asked.replay))
        return 0
    print(f"seed {asked.seed}", flush=True)
    found = module.run(asked.minutes * 60, asked.seed, lambda text: print(text, flush=True))
    print(json.dumps(found))
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
