"""What a database lacks to be captured."""

from collections.abc import Mapping
from typing import NamedTuple

Captured = Mapping[str, tuple[str, ...]]


class Lack(NamedTuple):
    """What is missing and the SQL (or the step) that mends it."""

    what: str
    fix: str
