"""Times as people type them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.domain.times import iso, milliseconds, typed

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-24T10:30:15.5Z", "2026-11-24T10:30:15.500Z"),
        ("2026-11-24T10:30:00+05:00", "2026-11-24T05:30:00.000Z"),
        ("2026-11-24 10:30", "2026-11-24T09:30:00.000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000Z"),
        ("10:30", "2026-11-25T09:30:00.000Z"),
        ("9:05:30", "2026-11-25T08:05:30.000Z"),
        ("2 hours ago", "2026-11-25T09:30:00.000Z"),
        ("1 day ago", "2026-11-24T11:30:00.000Z"),
        ("90 s ago", "2026-11-25T11:28:30.000Z"),
        (" 15 min ago ", "2026-11-25T11:15:00.000Z"),
        ("1 week ago", "2026-11-18T11:30:00.000Z"),
    ],
)
def test_a_time_as_typed(text: str, utc: str) -> None:
    assert iso(typed(text, NOW)) == utc
    assert typed(utc, NOW) == milliseconds(utc)


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "2026-13-01", "two hours ago", "99999999999 days ago", "-1 h ago"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        typed(text, NOW)
