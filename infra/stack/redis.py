"""Redis as onhand wants it: append-only file, nothing evicted; and the exporter of its metrics."""

from collections.abc import Sequence
from typing import ClassVar

import redis

from infra.stack.part import Part, answers, program

SETTINGS = """\
bind {host}
port {port}
protected-mode yes
dir {home}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


class Redis(Part):
    """Redis on loopback."""

    name: ClassVar[str] = "redis"

    @property
    def url(self) -> str:
        """Database 0."""
        return f"redis://{self.host}:{self.port}/0"

    def commands(self) -> Sequence[Sequence[str]]:
        """One settings file."""
        settings = self.home / "redis.conf"
        settings.write_text(SETTINGS.format(host=self.host, port=self.port, home=self.home))
        return [[program("redis-server"), str(settings)]]

    def is_ready(self) -> bool:
        """PING answers; it does not while the append-only file is loading."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class RedisExporter(Part):
    """Serves Redis' metrics to Prometheus; runs on while Redis is away, and says so."""

    name: ClassVar[str] = "redis-exporter"

    @property
    def url(self) -> str:
        """Its pages'."""
        return f"http://{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """No settings file."""
        redis = f"--redis.addr=redis://{self.host}:{self.site.port('redis')}"
        return [[program("prometheus-redis-exporter"), redis, f"--web.listen-address={self.host}:{self.port}"]]

    def is_ready(self) -> bool:
        """Its own word."""
        return answers(f"{self.url}/health")
