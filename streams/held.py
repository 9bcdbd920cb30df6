"""What was left by others: in Redis a newer cut, alerts of somebody else's making; and the last commit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from pipeline.adapters.redis import Fenced
from pipeline.domain.alerts import Alert
from pipeline.domain.errors import RefusedError


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
