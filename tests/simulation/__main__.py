"""`make simulate`: many simulations over both cores, or one again: python -m tests.simulation --seed S."""

import argparse
import json
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.world import Plan, World, quiet, simulate

CHUNK = 50


class Failed(NamedTuple):
    """A simulation that found a difference."""

    seed: int
    what: str


def failing(first: int, many: int) -> list[Failed]:
    """Simulate `many` seeds from `first` on."""
    quiet()
    worlds = ((seed, simulate(Plan.of(seed))) for seed in range(first, first + many))
    return [Failed(seed, str(w.failure)) for seed, w in worlds if w.failure is not None]


def shrunk(plan: Plan) -> Plan:
    """The shortest history and the fewest faults that still fail; `plan` fails."""
    for length in range(1, plan.length):
        shorter = Plan.of(plan.seed, length, plan.without)
        if simulate(shorter).failure is not None:
            plan = shorter
            break
    for fault in range(len(plan.faults) + len(plan.without)):
        fewer = Plan.of(plan.seed, plan.length, plan.without | {fault})
        if simulate(fewer).failure is not None:
            plan = fewer
    return plan


def command(plan: Plan) -> str:
    """What shows it again."""
    without = f" --without {','.join(map(str, sorted(plan.without)))}" if plan.without else ""
    return f"python -m tests.simulation --seed {plan.seed} --length {plan.length}{without}"


def tell(world: World, lines: int = 40) -> None:
    """The end of its trace."""
    print(f"seed {world.plan.seed}: {world.plan.length} transactions, {len(world.plan.faults)} faults")
    print("\n".join(world.trace[-lines:]))
    print(f"difference: {world.failure}" if world.failure else "no difference")


def one(plan: Plan) -> int:
    """Run it, and where it fails, the smallest that does."""
    quiet()
    world = simulate(plan)
    if world.failure is not None:
        world = simulate(shrunk(plan))
        print(command(world.plan))
    tell(world)
    return 1 if world.failure else 0


def many(number: int, base: int, cores: int) -> int:
    """Run `number` seeds from `base` on; the last line is one JSON object."""
    began, found, done = time.monotonic(), list[Failed](), 0
    print(f"{number} simulations from seed {base} on, {cores} processes", flush=True)
    with ProcessPoolExecutor(cores) as pool:
        starts = range(base, base + number, CHUNK)
        sizes = [min(CHUNK, base + number - start) for start in starts]
        for size, failed in zip(sizes, pool.map(failing, starts, sizes), strict=True):
            done, found = done + size, found + failed
            for f in failed:
                print(f"difference: seed {f.seed}: {f.what[:200]}", flush=True)
            if done % 1000 < size:
                print(f"{done} done, {done / (time.monotonic() - began):.0f} a second", flush=True)
    if found:
        one(Plan.of(found[0].seed))
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"simulations": number, "differences": len(found), "seed": base, "seconds": seconds}))
    return 1 if found else 0


def main() -> int:
    """0: no difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", help="how many to run")
    parser.add_argument("--seed", type=int, help="of the first; alone: the one to show")
    parser.add_argument("--length", type=int, help="of its history, in transactions")
    parser.add_argument("--without", default="", help="faults to leave out, by number")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    if arguments.number is None:
        without = frozenset(map(int, filter(None, arguments.without.split(","))))
        return one(Plan.of(seed, arguments.length, without))
    return many(arguments.number, seed, min(2, os.cpu_count() or 1))


if __name__ == "__main__":
    sys.exit(main())
