"""The local stack: the real servers, started natively on loopback for demo, tests and benchmarks.

    with Stack() as stack:
        stack.postgres.dsn, stack.kafka.bootstrap, stack.connect.url, stack.redis.url, stack.prometheus.url

`stack.py` starts and stops, `part.py` says what a part is, and there is one module per server.
"""

from infra.stack.stack import DEFAULT_PARTS, PARTS, Stack

__all__ = ["DEFAULT_PARTS", "PARTS", "Stack"]
