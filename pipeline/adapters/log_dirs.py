"""Kafka's DescribeLogDirs, which aiokafka does not speak: where a broker keeps a partition, and how full that disk is.

Version 4 is the first that tells the disk (Kafka 3.3).
"""

from typing import Any, ClassVar, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

KEY = 35
_TAGS = ("tags", TaggedFields)
_PARTITION = (("partition", Int32), ("size", Int64), ("lag", Int64), ("future", Boolean), _TAGS)
_TOPIC = (("topic", CompactString("utf-8")), ("partitions", CompactArray(*_PARTITION)), _TAGS)
_DIRECTORY = (
    ("error_code", Int16),
    ("directory", CompactString("utf-8")),
    ("topics", CompactArray(*_TOPIC)),
    ("total_bytes", Int64),
    ("usable_bytes", Int64),
    _TAGS,
)


class DescribeLogDirsResponse(Response):  # type: ignore[misc]
    """The broker's directories that hold what was asked for; bytes are -1 where it does not know."""

    API_KEY: ClassVar[int] = KEY
    API_VERSION: ClassVar[int] = 4
    SCHEMA: ClassVar[Any] = Schema(
        ("throttle_time_ms", Int32), ("error_code", Int16), ("directories", CompactArray(*_DIRECTORY)), _TAGS
    )


class _Struct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION: ClassVar[bool] = True
    API_KEY: ClassVar[int] = KEY
    API_VERSION: ClassVar[int] = 4
    RESPONSE_TYPE: ClassVar[type[Response]] = DescribeLogDirsResponse
    SCHEMA: ClassVar[Any] = Schema(
        ("topics", CompactArray(("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS
    )


class DescribeLogDirs(Request[_Struct]):  # type: ignore[misc]
    """Asks for the first partition of a topic."""

    API_KEY: ClassVar[int] = KEY

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        """As it goes over the wire."""
        return request_struct_class([(self._topic, [0], {})], {})


class Disk(NamedTuple):
    """A topic's bytes on one broker, and the size and free bytes of the disk they lie on."""

    topic: int
    total: int
    free: int


async def fullest_disk(admin: AIOKafkaAdminClient, topic: str) -> Disk | None:
    """Of the brokers that have the topic's first partition, the one with the least room; None where none tells.

    They do not tell before Kafka 3.3, nor whom the administrator does not let (DESCRIBE on the cluster).
    """
    found = list[Disk]()
    for broker in (await admin.describe_cluster())["brokers"]:
        try:
            answer = await admin._send_request(DescribeLogDirs(topic), broker["node_id"])  # noqa: SLF001
        except (NotImplementedError, IncompatibleBrokerVersion):
            return None
        for _, _, topics, total, free, _ in answer.directories:
            found += [Disk(p[1], total, free) for _, partitions, _ in topics for p in partitions if total > 0]
    return min(found, key=lambda disk: disk.free / disk.total, default=None)
