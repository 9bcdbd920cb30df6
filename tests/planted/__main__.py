"""python -m tests.planted: twelve bugs and none, or `--clean N` runs; whole runs are kept in `last_run.json`, `.md`."""

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from infra.stack import Stack
from tests.planted import report
from tests.planted.bugs import bugs
from tests.planted.run import run_clean, try_out


def main() -> int:
    options = _options()
    with Stack(parts=("postgres", "kafka", "connect", "redis")) as stack:
        results = _clean(stack, options) if options.clean else _planted(stack, options)
    return 0 if results else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of bugs, by commas; none = the product as it is")
    parser.add_argument("--clean", type=int, default=0, help="so many runs without a bug instead")
    parser.add_argument("--seconds", type=int, default=180, help="how long each of those lasts")
    parser.add_argument("--parallel", type=int, default=1, help="how many at once")
    return parser.parse_args()


def _planted(stack: Stack, options: argparse.Namespace) -> bool:
    only = [name for name in options.only.split(",") if name]
    chosen = [bug for bug in (*bugs(), None) if not only or (bug.name if bug else "none") in only]
    results = _all(options, [partial(try_out, stack, bug, options.seed) for bug in chosen])
    report.keep("planted", results, whole=not only)
    found = sum(r["found"] for r in results if r["bug"] != "none")
    alarms = sum(r["found"] for r in results if r["bug"] == "none")
    planted = sum(bug is not None for bug in chosen)
    _say({"planted": planted, "found": found, "false_alarms": alarms, "seed": options.seed})
    return found == planted and not alarms


def _clean(stack: Stack, options: argparse.Namespace) -> bool:
    kills = [(options.seed + n, n % options.parallel == 0) for n in range(options.clean)]
    results = _all(options, [partial(run_clean, stack, n, options.seconds, kill_connect=kill) for n, kill in kills])
    alarms = sum(r["false_alarms"] for r in results)
    report.keep("clean", results, whole=True)
    _say({"clean": len(results), "seconds": options.seconds, "rounds": sum(r["rounds"] for r in results),
          "false_alarms": alarms, "seed": options.seed})  # fmt: skip
    return alarms == 0


def _all(options: argparse.Namespace, runs: list[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
    """The results of runs in their order; as many as wanted go on at once, on the same servers."""
    with ThreadPoolExecutor(options.parallel) as pool:
        results = []
        for result in pool.map(lambda run: run(), runs):
            results.append(result)
            _say(result)
        return results


def _say(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)  # noqa: T201


sys.exit(main())
