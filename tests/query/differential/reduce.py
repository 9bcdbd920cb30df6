"""A history that shows a difference, made shorter: what is left without which the difference is gone."""

from collections.abc import Callable, Sequence

from tests.query.differential.history import Step


def reduced(steps: Sequence[Step], differs: Callable[[list[Step]], bool]) -> list[Step]:
    """Leaves out ever smaller pieces as long as `differs` holds."""
    left, size = list(steps), len(steps) // 2
    while size:
        at = 0
        while at < len(left):
            shorter = left[:at] + left[at + size :]
            if differs(shorter):
                left = shorter
            else:
                at += size
        size //= 2
    return left
