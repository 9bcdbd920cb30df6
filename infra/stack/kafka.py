"""One Kafka node that is broker and controller (KRaft)."""

import asyncio
import base64
import socket
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.stack.java import java_command
from infra.stack.part import Part

# One node of one partition each, no waiting for members that never come. A broker that was killed may register again
# only when its session has run out: 3 s instead of 9.
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={home}/data
auto.create.topics.enable=false
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=33554432
"""


class Kafka(Part):
    """The broker; topics are made by those who need them."""

    name: ClassVar[str] = "kafka"
    advertised: int | None = None
    """The port that clients are sent to when something stands before the broker; None: its own."""

    @property
    def bootstrap(self) -> str:
        """host:port for `bootstrap.servers`."""
        return f"{self.host}:{self.port}"

    def commands(self) -> Sequence[Sequence[str]]:
        """Format the log directory on the first start."""
        settings = self.home / "server.properties"
        controller = self.site.port("kafka-controller")
        settings.write_text(
            SETTINGS.format(
                host=self.host,
                port=self.port,
                advertised=self.advertised or self.port,
                controller_port=controller,
                home=self.home,
            )
        )
        fast = self.site.fast_jvm
        arguments = ("format", "-t", _cluster_id(), "-c", str(settings))
        create = java_command("kafka.tools.StorageTool", *arguments, heap="128m", fast=True)
        server = java_command("kafka.Kafka", str(settings), heap="512m", fast=fast)
        return [server] if (self.home / "data/meta.properties").exists() else [create, server]

    def is_ready(self) -> bool:
        """The broker is listed as one that may hold partitions."""
        try:
            socket.create_connection((self.host, self.port), timeout=0.5).close()
        except OSError:
            return False
        with ThreadPoolExecutor(1) as outside_of_any_loop:
            return outside_of_any_loop.submit(asyncio.run, _lists_a_broker(self.bootstrap)).result()


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)


async def _lists_a_broker(bootstrap: str) -> bool:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, TimeoutError):
        return False
    finally:
        await client.close()
