from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from infra.stack import Stack
from tests.cli.site import Site

_numbers = count(1)


@pytest.fixture
def site(stack: Stack, tmp_path: Path) -> Iterator[Site]:
    """A source that could be applied, and was not yet."""
    site = Site(stack, f"site{next(_numbers)}", tmp_path)
    yield site
    site.remove()
