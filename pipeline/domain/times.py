"""Times as readers get them: ISO 8601, UTC, milliseconds. And as people type them."""

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"(\d+) ?(s|m|h|d|sec|min|second|minute|hour|day|week)s? ago")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@lru_cache(maxsize=4096)  # all levels of a transaction share its time
def iso(ms: int) -> str:
    """Milliseconds since the Unix epoch as `2026-11-22T10:00:00.123Z`."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(value: object) -> str | None:
    """The day of a date, timestamp, YYYYMMDD or ISO text, as `2026-11-22`; zeros, blanks and None are none."""
    digits = str(value)[:10].replace("-", "")[:8] if value is not None else ""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if digits.strip("0 ") else None


def milliseconds(text: str) -> int:
    """The inverse of `iso`. Raises ValueError."""
    return round((datetime.fromisoformat(text) - _EPOCH) / timedelta(milliseconds=1))


def typed(text: str, now: datetime) -> int:
    """A time as people write it, in milliseconds: ISO 8601, `10:30` (today), `2 hours ago`. Raises ValueError.

    Without a zone it is of `now`'s; of an hour that the clock has twice it is the first.
    """
    try:
        return milliseconds(_typed(text.strip(), now).isoformat())
    except OverflowError:
        raise ValueError(f"{text!r} is out of reach") from None


def _typed(text: str, now: datetime) -> datetime:
    if ago := _AGO.fullmatch(text):
        return now.astimezone(UTC) - timedelta(**{_UNITS[ago[2][0]]: int(ago[1])})
    if re.fullmatch(r"\d?\d:\d\d.*", text):
        return datetime.combine(now.date(), time.fromisoformat(text if text[2] == ":" else f"0{text}"), now.tzinfo)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
