"""`onhand apply`: look at everything first, then set a source up: topics, control records, the connector."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from pipeline import applied, pack
from pipeline.adapters import control, erp, erp_preflight, erp_server, kafka, served, sources
from pipeline.adapters.connect import Connect, connector_config
from pipeline.adapters.lack import Lack
from pipeline.applied import Applied, Text
from pipeline.cli import again, reread
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_source, say
from pipeline.cli.reread import Reread
from pipeline.domain import health
from pipeline.domain.beside import check_beside
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import NotReadyError, PackError, RefusedError, UsageError
from pipeline.domain.items import Items
from pipeline.domain.levels import stock_levels
from pipeline.domain.orders import order_book
from pipeline.domain.shape import shape_of
from pipeline.pack import Pack
from pipeline.query import Engine, compile_source
from pipeline.rules import Known, compile_rules, rules_of, unable
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
    lacks: list[Lack]
    """What is missing in the ERP's database; empty where it was not to be tolerated."""
    before: Applied | None
    lacking: Mapping[str, list[str]]
    """Table -> what the log's rows of it lack: they are read again before the mapping is applied."""
    meanwhile: Mapping[str, str]
    """The connector until then: it captures for the mapping before, too."""


def prepare(settings: Settings, source: Source, *, anew: bool = False, tolerant: bool = False) -> Plan:
    """Compile the pack and look at the ERP, Kafka, Redis and Connect. Changes nothing; raises what is not right.

    `anew`: all rows are to be read again, whatever the log holds.
    `tolerant`: what the ERP's database lacks is told and not raised.
    """
    pack.load(source.pack, source.params)  # a wrong pack is told before any server is asked
    catalog = erp.inspect(source)
    chosen = pack.load(source.pack, source.params, catalog)
    if chosen.dialect != catalog.dialect:
        what = f"pack {chosen.name} speaks {chosen.dialect}, the database of [sources.{source.name}] {catalog.dialect}"
        raise UsageError(what, "name a pack of that dialect, or correct the address in `database`")
    if chosen.stock["usable"] is not None:
        raise PackError("[stock] usable is not served yet", "leave it out: all stock is usable then", chosen.name)
    catalog = chosen.complete(catalog)
    engine = compile_source(chosen.texts, catalog, chosen.params)
    captured, idle = engine.captured, _check_rules(source, engine, chosen)
    if "orders" in engine.views or "movements" in engine.views:
        stock = engine.views["stock"]
        check_beside(engine.views, shape_of(stock.keys, stock.amounts, chosen.stock["reserved"] or "none"))
    fresh = _check_kafka(settings, source, engine.views, anew=anew)
    before = None if fresh else sources.find_applied(settings.kafka, source.name)
    lacking = reread.lacking(before, catalog, captured) if before else {}
    if lacking and source.is_mariadb:
        new = ", ".join(f"{column} of {table}" for table, columns in lacking.items() for column in columns)
        what = f"source {source.name}: the pack now reads {new}, which the log's rows do not have"
        raise RefusedError(what, health.fix(source.name))
    needed = reread.for_both(before, catalog, captured) if before and lacking else captured
    lacks, warnings = erp_preflight.preflight(source, catalog, needed, lacking)
    warnings += idle
    if lacks and not tolerant:
        raise erp_preflight.refused(source, lacks)
    served.check_server(settings.redis.address, settings.redis.secret)
    connector, meanwhile = (connector_config(settings.kafka, source, c) for c in (captured, needed))
    connect = Connect(settings.kafka)
    connect.check_plugin(connector)
    if not lacks:
        connect.validate(meanwhile)  # by a log in that would fail for the same reasons
    return Plan(source, chosen, catalog, captured, connector, fresh, warnings, lacks, before, lacking, meanwhile)


def _check_rules(source: Source, engine: Engine, chosen: Pack) -> list[str]:
    """Warnings of alerts that cannot come. Raises PackError where alerts.toml is wrong."""
    levels = stock_levels(source.prefix, engine.views["stock"], chosen.stock["reserved"] or "none")
    items = Items(engine.views["items"], levels) if "items" in engine.views else None
    orders = order_book(source.prefix, engine.views["orders"], levels) if "orders" in engine.views else None
    rules, known = rules_of(source), Known(levels, items, orders)
    compile_rules(rules, known)
    return [
        f"alert {kind} cannot come: pack {chosen.name} yields no {fact}" for kind, fact in unable(rules, known).items()
    ]


def _check_kafka(settings: Settings, source: Source, kinds: Collection[str], *, anew: bool) -> bool:
    """True when all rows are to be read: asked for, or the log holds no more than its control records."""
    for topic, wanted in (topics_of(source, kinds) | {applied.TOPIC: kafka.COMPACTED}).items():
        kafka.check_topic(settings.kafka, topic, wanted)
    if anew or kafka.settings_of(settings.kafka, source.log_topic) is None:
        return True
    before, end = sources.find_applied(settings.kafka, source.name), kafka.end_offset(settings.kafka, source.log_topic)
    begun = before.begun if before else 0
    if end > 0:
        control.epoch_of(settings.kafka, source.log_topic, begun)
    if end <= begun + control.CONTROL_RECORDS:
        return True
    again.check_log(settings, source, before)
    return False


def topics_of(source: Source, kinds: Collection[str]) -> dict[str, dict[str, str]]:
    """The source's own topics and how they must be, where its pack has queries of these kinds."""
    more = {source.orders_topic: kafka.QUARANTINE} if "orders" in kinds else {}
    more |= {source.movements_topic: kafka.EVENTS} if "movements" in kinds else {}
    return {
        source.log_topic: kafka.LOG,
        source.alerts_topic: kafka.COMPACTED,
        source.acks_topic: kafka.COMPACTED,
        source.quarantine_topic: kafka.QUARANTINE,
    } | more


def carry_out(settings: Settings, plan: Plan) -> list[dict[str, str]]:
    """Set everything up and wait until changes flow. Returns what was done, part by part."""
    source, done = plan.source, []
    for topic, wanted in topics_of(source, plan.pack.kinds).items():
        done.append(_done("topic", topic, changed=kafka.ensure_topic(settings.kafka, topic, wanted)))
    before = sources.find_applied(settings.kafka, source.name)
    epoch, begun = again.begin(settings, source, before) if plan.fresh else again.begun(settings, source, before)
    connect = Connect(settings.kafka)

    def until_running() -> None:
        _until_running(connect, source.connector, lambda: erp_preflight.waiting_for(source))

    record = record_of(plan, epoch, begun)
    if plan.lacking:
        record = Reread(settings, source, record, list(plan.lacking)).done(plan.meanwhile, until_running)
        done += [_done("rows", table, changed=True) for table in plan.lacking]
    done.append(_done("source", source.name, changed=_store(settings, record, fresh=plan.fresh)))
    put = connect.begin if plan.fresh else connect.apply
    done.append(_done("connector", source.connector, changed=put(source.connector, plan.connector)))
    connect.resume(source.connector)  # an apply may have been stopped while it was
    until_running()
    return done


def _done(part: str, name: str, *, changed: bool) -> dict[str, str]:
    return {"part": part, "name": name, "done": "set up" if changed else "was as it must be"}


def _store(settings: Settings, record: Applied, *, fresh: bool) -> bool:
    before = sources.find_applied(settings.kafka, record.name)
    if before is None or not before.says_the_same(record):
        # readers order what two applied mappings serve by this time, so it never goes back, whatever the clock does
        later = max(record.applied_at, before.applied_at + 1) if before is not None else record.applied_at
        stored = msgspec.structs.replace(record, applied_at=later)
        sources.store_applied(settings.kafka, stored)
    else:
        stored = before
    if sources.find_pending(settings.kafka, record.name) is not None:
        sources.store_pending(settings.kafka, record.name, None)
    if not fresh:  # where nothing changed, too: an apply may have been stopped before it told
        control.tell_mapping(settings.kafka, record.topics["log"], stored.applied_at)
    return stored is not before


def record_of(plan: Plan, epoch: int, begun: int) -> Applied:
    """The source as it would be applied, now, to the log whose `epoch` begins at offset `begun`."""
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
        since=plan.before.since if plan.before is not None and plan.before.epoch == epoch else {},
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
