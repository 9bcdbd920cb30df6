"""Reading a source anew, into a log that may hold rows already: when that is needed, and how an epoch is begun."""

from datetime import datetime

from pipeline.adapters import control, erp_server, kafka
from pipeline.adapters.connect import Connect
from pipeline.applied import Applied
from pipeline.domain import health
from pipeline.domain.errors import RefusedError
from pipeline.settings import Settings, Source


def check_log(settings: Settings, source: Source, before: Applied | None) -> None:
    """Raise RefusedError unless the log is the one applied before, and its source kept what came since."""
    epoch = control.epoch_of(settings.kafka, source.log_topic, before.begun if before else 0)
    fix = health.fix(source.name)
    if before is None:
        return
    if epoch != before.epoch:
        raise RefusedError(f"topic {source.log_topic} is not the log that was applied: its epoch differs", fix)
    lost = [
        finding for finding in health.of_server(erp_server.look(source), before.server, source.name) if finding.lost
    ]
    if lost:
        raise RefusedError(f"source {source.name}: {lost[0].what}", fix)


def begin(settings: Settings, source: Source, before: Applied | None) -> tuple[int, int]:
    """End capture as it was and begin an epoch of the log, in which only what is read from now on counts.

    Returns the epoch and the offset of its record. The slot goes: a new one is made with the new snapshot.
    """
    Connect(settings.kafka).stop(source.connector)
    erp_server.drop_slot(source)
    today = datetime.now(source.zone).date()
    if kafka.end_offset(settings.kafka, source.log_topic) <= control.CONTROL_RECORDS:
        return control.begin_log(settings.kafka, source.log_topic, today), 0
    position = erp_server.look(source).position
    return control.begin_epoch(settings.kafka, source.log_topic, today, before.epoch if before else 0, position)


def begun(settings: Settings, source: Source, before: Applied | None) -> tuple[int, int]:
    """The epoch of a log that goes on, and the offset of its record."""
    offset = before.begun if before else 0
    return control.epoch_of(settings.kafka, source.log_topic, offset), offset
