"""Times as readers get them: ISO 8601, UTC, milliseconds."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)  # all levels of a transaction share its time
def iso(ms: int) -> str:
    """Milliseconds since the Unix epoch as `2026-11-22T10:00:00.123Z`."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """The inverse of `iso`. Raises ValueError."""
    return round((datetime.fromisoformat(text) - _EPOCH) / timedelta(milliseconds=1))
