"""What was left by others: in Redis a newer cut, alerts of somebody else's making; and the last commit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec
import structlog

from pipeline.adapters.redis import Fenced
from pipeline.domain.alerts import Alert
from pipeline.domain.errors import RefusedError
from pipeline.domain.times import milliseconds
from streams.holes import HISTORY_MS
from streams.ports import Identity

HALF_DONE = ("applying", "rebuilding")
"""What stands in Redis is of no one cut: keys that were new in a cut whose rest never came are known to nobody else."""
log = structlog.get_logger("onhand.worker")


def usable_offset(held: Mapping[str, str], me: Identity, swept: Mapping[str, int], now_ms: float) -> int:
    """The offset of the cut that meta says Redis holds; -1: of no use, and everything is to be projected anew.

    That is another mapping's or epoch's, half done, too old, or older than what is noted of rows that ended.
    """
    if (held.get("digest"), held.get("epoch")) != (me.digest, str(me.epoch)) or "v" not in held:
        return -1
    offset = int(held["v"].rpartition(".")[2])
    if held.get("state") in HALF_DONE or "chunk" in held:  # another worker may have said a state since
        log.warning("a worker died while it wrote to Redis; projecting everything anew", state=held.get("state"))
        return -1
    if now_ms - milliseconds(held["as_of"]) > HISTORY_MS:
        log.warning("history gap: the feed stood still too long; projecting everything anew", as_of=held["as_of"])
        return -1
    if max(swept.values(), default=-1) > offset:  # what was shown then of rows that ended since cannot be told
        log.warning("Redis was put back to before rows ended; projecting everything anew", as_of=held["as_of"])
        return -1
    return offset


def readable_alerts(held: Mapping[str, str]) -> dict[str, Alert]:
    """The alerts that are readable, by id; what a foreign hand left beside them is `scrub`'s business."""
    found = {}
    for name, text in held.items():
        with suppress(ValueError, TypeError, KeyError):
            found[name] = Alert.from_dict(msgspec.json.decode(text, type=dict[str, str]))
    return found


def told_up_to(committed: str, log_epoch: int) -> int:
    """The offset in the log begun at `log_epoch` up to which all was told, as committed; -1 of another log, or none."""
    applied_at, _, offset = committed.partition(" ")[0].partition(".")
    return int(offset) if applied_at.isdecimal() and int(applied_at) >= log_epoch else -1


@contextmanager
def fenced() -> Iterator[None]:
    """A newer cut than ours ends the worker, with what a person can do."""
    try:
        yield
    except Fenced:
        raise RefusedError(
            "Redis holds a newer cut than ours: another worker serves this source, or the log lost its end",
            "stop the other worker; if there is none: onhand apply --snapshot",
        ) from None
