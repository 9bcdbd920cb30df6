"""Whatever stands in a pack, the settings, a record or Redis's reply: a value or a typed error, in bounded time.

One module per target, with `run(seconds, seed) -> {"target", "seed", "count", "failures", ..}`; `TARGETS` names them.
"""

TARGETS = ("pack", "settings", "record", "redis_replies")
