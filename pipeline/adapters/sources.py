"""Applied sources, and what workers note of them, in their topic in Kafka."""

import msgspec

from pipeline import applied
from pipeline.adapters import kafka
from pipeline.applied import Applied, Pending, Swept
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.settings import Kafka


def store_applied(broker: Kafka, source: Applied) -> None:
    """Keep an applied source; the newest of a name counts."""
    kafka.ensure_topic(broker, applied.TOPIC, kafka.COMPACTED)
    kafka.write(broker, applied.TOPIC, source.name.encode(), source.to_json())


def find_applied(broker: Kafka, name: str) -> Applied | None:
    """The applied source called `name`, None when it was never applied."""
    value = kafka.latest(broker, applied.TOPIC).get(name.encode())
    try:
        return Applied.from_json(value) if value else None
    except msgspec.MsgspecError as e:
        raise RefusedError(f"source {name} was applied by another version: {e}", f"onhand apply {name}") from None


def load_applied(broker: Kafka, name: str) -> Applied:
    """The applied source called `name`; NotReadyError when it was never applied."""
    found = find_applied(broker, name)
    if found is None:
        raise NotReadyError(f"source {name} is not applied yet", f"onhand apply {name}")
    return found


def store_pending(broker: Kafka, name: str, pending: Pending | None) -> None:
    """Keep what waits for rows to be read again; None = nothing does."""
    kafka.write(broker, applied.TOPIC, Pending.key(name), pending.to_json() if pending is not None else b"")


def find_pending(broker: Kafka, name: str) -> Pending | None:
    """What waits to become the applied source `name`."""
    value = kafka.latest(broker, applied.TOPIC).get(Pending.key(name))
    try:
        return msgspec.json.decode(value, type=Pending) if value else None
    except msgspec.MsgspecError:
        return None  # another version's: it is begun again


def load_swept(broker: Kafka, name: str, epoch: int) -> dict[str, int]:
    """What a worker noted of the source's log begun at `epoch`: table -> the offset below which its rows are gone."""
    value = kafka.latest(broker, applied.TOPIC).get(Swept.key(name))
    swept = msgspec.json.decode(value, type=Swept) if value else Swept(epoch, {})
    return swept.tables if swept.epoch == epoch else {}
