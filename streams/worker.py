"""The worker's composition root: settings in, a running process out."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

import prometheus_client
import structlog
import uvloop

from pipeline import telemetry
from pipeline.adapters import erp_drift, quarantine, served, sources
from pipeline.adapters.quarantine import Noted
from pipeline.adapters.redis import Projection
from pipeline.applied import Applied
from pipeline.domain.errors import NotReadyError, OnhandError
from pipeline.query.disk import DiskStore
from pipeline.query.rows import MemoryStore, Store
from pipeline.rules import rules_of
from pipeline.settings import Settings, Source
from streams import failpoints
from streams.app import Alerts, Notes, Topic, make_app, wire
from streams.applied_fold import new_fold
from streams.feeds import Feeds
from streams.ledger import Ledger
from streams.looks import watch
from streams.measure import Patience
from streams.movement_feed import MovementFeed
from streams.order_feed import OrderFeed
from streams.ports import Identity
from streams.publish import Publisher
from streams.scrub import Scrub

STOP_SECONDS = 8
NotedRows = Mapping[bytes, Noted | None]
log = structlog.get_logger("onhand.worker")


def run(settings: Settings, name: str | None = None) -> int:
    """Fold one source until SIGTERM; returns the exit code. Raises OnhandError when it cannot start."""
    _log_to_stderr()
    if failpoint := os.environ.get(failpoints.VARIABLE):
        failpoints.arm(failpoint)
    source = settings.source(name)
    applied = sources.load_applied(settings.kafka, source.name)
    served.check_server(settings.redis.address, settings.redis.secret)
    _serve_metrics(settings.worker.metrics_host, settings.worker.metrics_port)
    tune_collector()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    swept = sources.load_swept(settings.kafka, source.name, applied.epoch)
    noted = quarantine.noted(settings.kafka, source.quarantine_topic, applied.epoch)
    return asyncio.run(_serve(settings, source, applied, swept, noted))


async def _serve(
    settings: Settings, source: Source, applied: Applied, swept: Mapping[str, int], noted: NotedRows
) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = make_app(settings.kafka, source)
    publisher = make_publisher(app, settings, source, applied, swept, noted=noted)
    telemetry.begin(source.name, [(r.kind, r.severity, r.department) for r in publisher.fold.book.counts])
    scrub = Scrub(source.name, publisher.fold, settings.worker.scrub_keys_per_second)
    wire(app, source, publisher, scrub, _fatal)
    watchdog = watch(settings, source, applied, publisher, _fatal, drift=erp_drift.drift)
    app.timer(1.0)(watchdog)
    await app.start()
    log.info("worker started", source=source.name, pid=os.getpid())
    outcome = await app.wait(stop.wait())
    if outcome.stopped:
        _fatal(app.crash_reason or RuntimeError("Faust stopped by itself"))
    stopping = asyncio.ensure_future(app.stop())
    # where Redis or Kafka are away nothing is lost by leaving; to cancel what waits for them may take for ever
    await asyncio.wait({stopping}, timeout=STOP_SECONDS)
    if stopping.done():
        stopping.result()
    publisher.fold.engine.store.close()
    log.info("worker stopped", source=source.name)
    _leave(0)


def tune_collector() -> None:
    """Collect rarely: a fold allocates rows by the million and hardly any cycles."""
    gc.set_threshold(50_000, 20, 100)


def make_publisher(
    app: object,
    settings: Settings,
    source: Source,
    applied: Applied,
    swept: Mapping[str, int],
    *,
    noted: NotedRows | None = None,
) -> Publisher:
    """A source's fold and projection, from what `apply` stored and workers before this one noted."""
    fold = new_fold(
        applied, source.topic_prefix, swept, make_store(settings, source, applied), noted, rules=rules_of(source)
    )

    patience = Patience(source.name)
    projection = Projection(
        settings.redis.address, applied.prefix, applied.applied_at, lambda: settings.redis.secret,
        lambda: patience.waits(projection.why), on_back=patience.ends,
    )  # fmt: skip
    orders = OrderFeed(fold.orders, Topic(app, settings.kafka, source.orders_topic), applied.applied_at)
    movements = MovementFeed(fold.movements, Topic(app, settings.kafka, source.movements_topic))
    identity = Identity(source.name, applied.epoch, applied.applied_at, applied.digest, applied.begun)
    return Publisher(
        identity, fold, projection, ledger=Ledger(), alerts=Alerts(app, settings.kafka, source.alerts_topic),
        notes=Notes(app, source, applied.epoch), feeds=Feeds(orders, movements),
    )  # fmt: skip


def make_store(settings: Settings, source: Source, applied: Applied) -> Store:
    """Where a source's rows live. A store on disk is emptied: the log is replayed from its start."""
    if source.rows == "memory" or settings.worker.directory is None:
        return MemoryStore()
    identity = f"{source.log_topic} {applied.epoch} {applied.applied_at} {applied.digest}"
    return DiskStore(settings.worker.directory / source.name, identity, empty=True)


def _serve_metrics(host: str, port: int) -> None:
    try:
        prometheus_client.start_http_server(port, host, registry=telemetry.REGISTRY)
    except OSError as e:
        raise NotReadyError(
            f"cannot serve metrics on {host}:{port}: {e.strerror}",
            "stop what listens there, or set [worker] metrics_port (ONHAND_WORKER__METRICS_PORT)",
        ) from None


def _fatal(e: BaseException) -> None:
    """Say why and end the process now, so that nothing that was not published is committed."""
    if isinstance(e, OnhandError):
        log.critical(e.what, fix=e.fix)
        _leave(e.exit_code)
    trace = e.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
    debug = bool(os.environ.get("ONHAND_DEBUG"))
    log.critical(
        "unexpected error: the worker ends, nothing is committed",
        error=f"{type(e).__name__}: {e}",
        at=where,
        exc_info=e if debug else None,
    )
    _leave(1)


def _leave(code: int) -> NoReturn:
    # not sys.exit: threads and Faust's services would go on, and could commit
    sys.stderr.flush()
    os._exit(code)


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    render = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
