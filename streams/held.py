"""What Redis holds that is not as this worker left it: a newer cut, alerts of somebody else's making."""

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
