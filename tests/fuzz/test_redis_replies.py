"""Nonsense from Redis for 20 seconds; `python -m tests.fuzz.redis_replies` for longer."""

import random

from tests.fuzz import redis_replies


def test_nonsense_is_asked_again_or_a_typed_error_and_never_taken_for_written() -> None:
    seed = random.randrange(10**6)
    done = redis_replies.run(20, seed)
    assert done["failures"] == [], f"seed {seed}"
    assert done["count"] > 20
    assert done["retries"] > 10
