"""Applied sources, and what workers note of them, in their topic in Kafka."""

from collections.abc import Iterator

import msgspec

from pipeline import applied
from pipeline.adapters import control, kafka
from pipeline.applied import Applied, Lost, Pending, Swept
from pipeline.domain import health
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.domain.health import Finding
from pipeline.settings import Kafka, Source


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


def load_lost(broker: Kafka, name: str, epoch: int) -> list[Finding]:
    """What a worker found of changes that are lost, of the rows read since `epoch`."""
    value = kafka.latest(broker, applied.TOPIC).get(Lost.key(name))
    lost = msgspec.json.decode(value, type=Lost) if value else Lost(epoch, [])
    found = lost.found if lost.epoch == epoch else []
    return [Finding(kind, what, health.fix(name), effect, lost=True) for kind, what, effect in found]  # type: ignore[arg-type]  # as noted


def note_lost(broker: Kafka, name: str, epoch: int, found: list[Finding]) -> None:
    """Note what can be seen for a moment only, so that the next worker knows it."""
    kafka.write(
        broker, applied.TOPIC, Lost.key(name), Lost(epoch, [(f.kind, f.what, f.effect) for f in found]).to_json()
    )


def of_log(broker: Kafka, source: Source, applied: Applied) -> Iterator[Finding]:
    """Of the log's topic: gone, another one, or with other settings."""
    try:
        if not kafka.check_topic(broker, source.log_topic, kafka.LOG):
            yield Finding(
                "log_missing", f"topic {source.log_topic} is gone", health.fix(source.name), "stale", lost=True
            )
            return
    except RefusedError as e:
        yield Finding("log_settings", e.what, e.fix, "degraded")
    if control.find_epoch(broker, source.log_topic, applied.begun) != applied.epoch:
        what = f"topic {source.log_topic} is not the log that was applied: its epoch differs"
        yield Finding("log_changed", what, health.fix(source.name), "stale", lost=True)
