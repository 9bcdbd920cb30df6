"""`onhand verify --every` beside an ERP that writes 300 transactions a second: coverage, false differences, extra load.

    python -m bench.verify [SECONDS] [RATE] [PAIRS]

Writers keep to a fixed schedule (`late` = transactions begun more than a second behind it), about three rows each, rows
drawn by Zipf's law. The extra load is that of the whole PostgreSQL process tree: CPU seconds of windows with and
without verify, taken ABBA so that a drift of the machine falls on both, as the median of paired differences with their
spread; and the change log that one comparison's marks write, on an ERP that is at rest. Last line: JSON.
"""

import json
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil

from infra.stack import Stack
from tests.planted.bugs import copy_product
from tests.planted.load import Load
from tests.planted.site import Site, Watch

EVERY, WINDOW_S = "5s", 20
WRITERS = 8


def cpu_seconds(stack: Stack) -> float:
    """Of PostgreSQL's processes, those that ended too."""
    server = psutil.Process(stack.pid("postgres"))
    times = server.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in server.children(recursive=True):
        try:
            own = child.cpu_times()
        except psutil.NoSuchProcess:  # it ended just now, and is counted at its parent in the next window
            continue
        total += own.user + own.system
    return total


def window(site: Site, *, verifying: bool) -> float:
    """CPU seconds that PostgreSQL used in one window."""
    with Watch(site, EVERY) if verifying else nullcontext() as watch:
        if watch is not None:
            watch.wait_for(lambda w: bool(w.rounds), 120)
        begun = cpu_seconds(site.stack)
        time.sleep(WINDOW_S)
        return cpu_seconds(site.stack) - begun


def coverage(site: Site, seconds: int, load: Load) -> dict[str, object]:
    """What verify compared in so many seconds, from its first round on."""
    with Watch(site, EVERY) as watch:
        watch.wait_for(lambda w: bool(w.rounds), 120)
        begun, written, late = time.monotonic(), load.transactions, load.late
        time.sleep(seconds)
        rate = (load.transactions - written) / (time.monotonic() - begun)
        rounds = watch.rounds
    return {
        "transactions_per_s": round(rate), "late": load.late - late, "rounds": len(rounds),
        "keys": round(statistics.median(r.compared for r in rounds)),
        "coverage_min": min(r.coverage for r in rounds),
        "coverage_median": statistics.median(r.coverage for r in rounds),
        "false_differences": sum(r.differing for r in rounds if not r.behind), "behind": sum(r.behind for r in rounds),
        "failed": len(watch.failed),
    }  # fmt: skip


def extra_cpu(site: Site, pairs: int) -> dict[str, object]:
    """Cores that PostgreSQL needs more beside verify."""
    differences, without = [], []
    for n in range(pairs):
        first = window(site, verifying=n % 2 == 1)
        second = window(site, verifying=n % 2 == 0)
        plain, beside = (second, first) if n % 2 else (first, second)
        differences.append((beside - plain) / WINDOW_S)
        without.append(plain / WINDOW_S)
        print(f"pair {n + 1}: {plain / WINDOW_S:.3f} cores without verify, {beside / WINDOW_S:.3f} with", flush=True)
    return {
        "cores_without": round(statistics.median(without), 3), "extra_cores": round(statistics.median(differences), 3),
        "extra_cores_spread": [round(min(differences), 3), round(max(differences), 3)], "pairs": pairs,
    }  # fmt: skip


def mark_bytes(site: Site) -> int:
    """What one comparison adds to the change log of an ERP at rest."""
    site.wait_until_served()
    begun = site.position()
    site.verify()
    return site.position() - begun


def timed_item(site: Site) -> float:
    """Seconds of `onhand verify --item`, the whole command."""
    begun = time.perf_counter()
    done = site.onhand("verify", "--item", "I77")
    assert done.returncode in (0, 2), done.stderr  # 2: it was renamed
    return time.perf_counter() - begun


def main(seconds: int, rate: int, pairs: int) -> None:
    with (
        Stack(parts=("postgres", "kafka", "connect", "redis"), fast_jvm=False) as stack,
        tempfile.TemporaryDirectory() as directory,
    ):
        site = Site(stack, "bench_verify", copy_product(Path(directory), None))
        with site.attached():
            with Load(site.url, 1, WRITERS, rate) as load:
                figures = coverage(site, seconds, load)
                print(json.dumps(figures), flush=True)
                figures |= extra_cpu(site, pairs)
            figures["log_bytes_a_comparison"] = mark_bytes(site)
            figures["item_s"] = round(statistics.median(timed_item(site) for _ in range(5)), 2)
    print(json.dumps(figures | {"seconds": seconds, "wanted_per_s": rate, "every": EVERY}), flush=True)


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] or (180, 300, 6))))
