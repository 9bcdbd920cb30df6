"""One planted bug, or one clean run: the real worker on the real servers under the load, and verify beside it."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.stack import Stack
from tests.planted.bugs import Bug, copy_product
from tests.planted.load import Load
from tests.planted.site import Site, Watch

UNDER_LOAD_S, AFTER_EVENT_S = 90, 60
EVERY = "2s"


@dataclass(frozen=True)
class Event:
    """What happens to the source next; then verify has so many seconds."""

    name: str
    happen: Callable[[Site], None]
    seconds: int = AFTER_EVENT_S


EVENTS = (
    Event("load", lambda _site: None, UNDER_LOAD_S),
    Event("worker killed and started", Site.restart_worker),
    Event("another mapping", Site.change_mapping),
    Event("unreadable row", Site.write_unreadable_row),
    Event("all rows read anew", Site.read_anew),
)
UNMENDED = {"ONHAND_WORKER__SCRUB_KEYS_PER_SECOND": "0"}
"""What is wrong in Redis must stand until verify has found it: the worker's own look at Redis would mend it."""


def try_out(stack: Stack, bug: Bug | None, seed: int) -> dict[str, Any]:
    """Run the bug, or none, until verify names differing keys, or to the end; what came of it."""
    name = bug.name if bug else "none"
    with tempfile.TemporaryDirectory() as directory:
        site = Site(stack, f"bug_{name}_{seed}", copy_product(Path(directory), bug), UNMENDED)
        with site.attached(), Load(site.url, seed) as load, Watch(site, EVERY) as watch:
            found = _until_found(site, watch)
            return {"bug": name, "seed": seed, "transactions": load.transactions} | found


def _until_found(site: Site, watch: Watch) -> dict[str, Any]:
    for event in EVENTS:
        begun, seen = time.monotonic(), len(watch.rounds)
        event.happen(site)
        if watch.wait_for(lambda w: w.alarm is not None, event.seconds):
            assert watch.alarm is not None
            return {
                "found": True, "event": event.name, "seconds": round(time.monotonic() - begun, 1),
                "rounds": len(watch.rounds) - seen, "keys": watch.alarm.differing, "layers": watch.alarm.layers,
                "state": site.meta().get("state", ""),
            }  # fmt: skip
    return {"found": False, "rounds": len(watch.rounds), "failed": watch.failed[-3:], "worker": site.tail()[-500:]}


def run_clean(stack: Stack, seed: int, seconds: int, *, kill_connect: bool, every: str = "5s") -> dict[str, Any]:
    """The product as it is: no difference may be named, whatever happens to the worker or to Kafka Connect."""
    with tempfile.TemporaryDirectory() as directory:
        site = Site(stack, f"clean_{seed}", copy_product(Path(directory), None))
        with site.attached():
            with Load(site.url, seed, count=5, rate=100) as load, Watch(site, every) as watch:
                for happen in (Site.restart_worker, Site.restart_connect if kill_connect else Site.restart_worker):
                    watch.wait_for(lambda w: w.alarm is not None, seconds / 3)
                    happen(site)
                watch.wait_for(lambda w: w.alarm is not None, seconds / 3)
                transactions = load.transactions
            site.wait_until_served()
            return _clean(site, watch, seed, transactions) | {"connect_killed": kill_connect}


def _clean(site: Site, watch: Watch, seed: int, transactions: int) -> dict[str, Any]:
    rounds = watch.rounds
    assert rounds, watch.said
    return {
        "seed": seed, "transactions": transactions, "rounds": len(rounds),
        "false_alarms": sum(r.is_alarm for r in rounds), "behind": sum(r.behind for r in rounds),
        "failed": len(watch.failed), "compared": sum(r.compared for r in rounds),
        "least_coverage": min(r.coverage for r in rounds),
        "last": site.verify(),
        "alarms": [row for r in rounds if r.is_alarm for row in r.rows][:5],
    }  # fmt: skip
