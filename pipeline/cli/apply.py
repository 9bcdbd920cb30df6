"""`onhand apply`: look at everything first, then set a source up: topics, control records, the connector."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from pipeline import applied, pack
from pipeline.adapters import control, erp, erp_preflight, erp_server, kafka, served, sources
from pipeline.adapters.connect import Connect, connector_config
from pipeline.applied import Applied, Text
from pipeline.cli import again
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_source, say
from pipeline.domain import health
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import NotReadyError, PackError, RefusedError
from pipeline.pack import Pack
from pipeline.query import compile_source
from pipeline.settings import Settings, Source

Captured = Mapping[str, tuple[str, ...]]
START_TIMEOUT_S = 120
_SLOW_S = 10


def apply(
    ctx: typer.Context,
    source: SourceArgument = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Read all rows anew: changes were lost, or the ERP's database put back.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set a source up, or bring it up to date: nothing is changed before everything has been found in order.

    Examples: onhand apply · onhand apply erp · onhand apply --snapshot erp · onhand apply erp -o json
    """
    settings, chosen = load_source(ctx, source)
    plan = prepare(settings, chosen, anew=snapshot)
    for warning in plan.warnings:
        say(f"warning: {warning}")
    emit(carry_out(settings, plan), output)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be set up, found to be possible."""

    source: Source
    pack: Pack
    catalog: Catalog
    captured: Captured
    connector: Mapping[str, str]
    fresh: bool
    warnings: list[str]


def prepare(settings: Settings, source: Source, *, anew: bool = False) -> Plan:
    """Compile the pack and look at the ERP, Kafka, Redis and Connect. Changes nothing; raises what is not right.

    `anew`: all rows are to be read again, whatever the log holds.
    """
    pack.load(source.pack, source.params)  # a wrong pack is told before any server is asked
    catalog = erp.inspect(source)
    chosen = pack.load(source.pack, source.params, catalog)
    if chosen.stock["usable"] is not None:
        raise PackError("[stock] usable is not served yet", "leave it out: all stock is usable then", chosen.name)
    catalog = chosen.complete(catalog)
    captured = compile_source(chosen.texts, catalog, chosen.params).captured
    warnings = erp_preflight.preflight(source, catalog, captured)
    fresh = _check_kafka(settings, source, captured, anew=anew)
    served.check_server(settings.redis.address, settings.redis.secret)
    connector = connector_config(source, captured)
    connect = Connect(settings.kafka)
    connect.check_plugin()
    connect.validate(connector)
    return Plan(source, chosen, catalog, captured, connector, fresh, warnings)


def _check_kafka(settings: Settings, source: Source, captured: Captured, *, anew: bool) -> bool:
    """True when all rows are to be read: asked for, or the log holds no more than its control records."""
    for topic in (source.alerts_topic, applied.TOPIC):
        kafka.check_topic(settings.kafka, topic, kafka.COMPACTED)
    if not kafka.check_topic(settings.kafka, source.log_topic, kafka.LOG) or anew:
        return True
    before, end = sources.find_applied(settings.kafka, source.name), kafka.end_offset(settings.kafka, source.log_topic)
    if end > 0:
        control.epoch_of(settings.kafka, source.log_topic, before.begun if before else 0)
    if end <= (before.begun if before else 0) + control.CONTROL_RECORDS:
        return True
    again.check_log(settings, source, before)
    _check_columns(source, captured, before)
    return False


def _check_columns(source: Source, captured: Captured, before: Applied | None) -> None:
    """A log with rows must hold every column the pack reads."""
    if before is None:
        return
    known = compile_source(before.mapping_texts, before.schema, before.params).captured
    new = [f"{table}.{c}" for table, columns in captured.items() for c in columns if c not in known.get(table, ())]
    if new:
        what = f"source {source.name}: the pack now reads {', '.join(new)}, which the log's rows do not have"
        raise RefusedError(what, health.fix(source.name))


def carry_out(settings: Settings, plan: Plan) -> list[dict[str, str]]:
    """Set everything up and wait until changes flow. Returns what was done, part by part."""
    source, done = plan.source, []
    for topic, wanted in ((source.log_topic, kafka.LOG), (source.alerts_topic, kafka.COMPACTED)):
        done.append(_done("topic", topic, kafka.ensure_topic(settings.kafka, topic, wanted)))
    before = sources.find_applied(settings.kafka, source.name)
    epoch, begun = again.begin(settings, source, before) if plan.fresh else again.begun(settings, source, before)
    done.append(_done("source", source.name, _store(settings, _record(plan, epoch, begun))))
    connect = Connect(settings.kafka)
    put = connect.begin if plan.fresh else connect.apply
    done.append(_done("connector", source.connector, put(source.connector, plan.connector)))
    _until_running(connect, source.connector, lambda: erp_preflight.waiting_for(source))
    return done


def _done(part: str, name: str, changed: bool) -> dict[str, str]:
    return {"part": part, "name": name, "done": "set up" if changed else "was as it must be"}


def _store(settings: Settings, record: Applied) -> bool:
    before = sources.find_applied(settings.kafka, record.name)
    if before is not None and before.says_the_same(record):
        return False
    # readers order what two applied mappings serve by this time, so it never goes back, whatever the clock does
    later = max(record.applied_at, before.applied_at + 1) if before is not None else record.applied_at
    sources.store_applied(settings.kafka, msgspec.structs.replace(record, applied_at=later))
    if before is not None and before.epoch == record.epoch:
        control.tell_mapping(settings.kafka, record.topics["log"], later)
    return True


def _record(plan: Plan, epoch: int, begun: int) -> Applied:
    source = plan.source
    tables = [plan.catalog.tables[name] for name in plan.captured]
    return Applied(
        name=source.name,
        epoch=epoch,
        applied_at=int(time.time()),
        pack=plan.pack.name,
        dialect=plan.pack.dialect,
        digest=plan.pack.digest,
        catalog=Catalog.of(plan.catalog.dialect, *tables).to_dict(),
        texts=[Text(t.kind, t.file, t.sql) for t in plan.pack.texts],
        bound=applied.plain(plan.pack.params),
        stock=plan.pack.stock,
        time_zone=source.time_zone,
        prefix=source.prefix,
        topics={"log": source.log_topic, "alerts": source.alerts_topic},
        begun=begun,
        server=erp_server.look(source).identity,
    )


def _until_running(connect: Connect, name: str, why_slow: Callable[[], list[str]]) -> None:
    """Wait for the task. One that failed before is started once more; one that fails again is told."""
    begun, restarted, told = time.monotonic(), False, False
    while time.monotonic() - begun < START_TIMEOUT_S:
        state = connect.state(name)
        if state is not None and state.running:
            return
        if state is not None and state.failed:
            if restarted:
                raise RefusedError(f"connector {name} failed: {state.reason}", "mend that, then apply again")
            connect.restart(name)
            restarted = True
        if not told and time.monotonic() - begun > _SLOW_S:
            told = True
            for reason in why_slow():
                say(f"still waiting: {reason}")
        time.sleep(0.25)
    reasons = "; ".join(why_slow()) or "see Kafka Connect's own log"
    raise NotReadyError(f"connector {name} did not start within {START_TIMEOUT_S} s; it goes on trying", reasons)
