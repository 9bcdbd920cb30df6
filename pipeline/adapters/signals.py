"""Asking Debezium to read rows again beside the stream: its incremental snapshot, signalled over a topic of the source.

The rows come into the log as op `r`, outside transactions and without a position. Debezium leaves out a row that
changed while it was read, so an older reading never follows a newer change.
"""

import re
from collections.abc import Mapping

import msgspec

from pipeline.adapters import kafka
from pipeline.settings import Kafka, Source

TOPIC = {"cleanup.policy": "delete"}


def read_again(broker: Kafka, source: Source, tables: Mapping[str, str | None], ident: str = "") -> None:
    """Have rows of `tables` (`schema.table` -> an SQL condition in the ERP's dialect, None = all) read into the log.

    Returns when the wish is written. Debezium's notices in the log carry `ident`. A wish that
    a kill of Kafka Connect loses is not made again by itself.
    """
    conditions = [
        {"data-collection": re.escape(table), "filter": condition} for table, condition in tables.items() if condition
    ]
    data = {"type": "INCREMENTAL", "data-collections": [re.escape(t) for t in tables]}
    wish = {"id": ident, "type": "execute-snapshot", "data": data | {"additional-conditions": conditions}}
    kafka.write(broker, source.signals_topic, source.topic_prefix.encode(), msgspec.json.encode(wish))
