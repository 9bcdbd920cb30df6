"""`onhand verify`: what is served against what the ERP itself says, once or for ever (see `comparison`)."""

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import prometheus_client
import typer

from pipeline import telemetry
from pipeline.adapters import kafka, sources
from pipeline.adapters.served import Reader
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_source, reader, say, seconds
from pipeline.cli.comparison import Comparison, Outcome
from pipeline.cli.layers import ERP, QUARANTINED, REDIS, ROWS, fold_log, layers_of
from pipeline.cli.scope import Scope, item_scope
from pipeline.domain.errors import DiffersError, NotReadyError, OnhandError, UsageError
from pipeline.query.keyed import SLOTS, Items
from pipeline.settings import Settings, Source

MENDED = "mended"
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Task:
    """What a person asked for; `sample` is the width of a sample in slots, 0 = no sample."""

    settings: Settings
    source: Source
    reader: Reader
    patience: float
    item: str | None
    sample: int
    repair: bool
    output: Output


def verify(
    ctx: typer.Context,
    source: SourceArgument = None,
    *,
    item: Annotated[str | None, typer.Option(help="Only this item.", show_default=False)] = None,
    sample: Annotated[
        str | None,
        typer.Option(help="Only so many of the items, such as 1%: spares the ERP.", show_default=False),
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Again and again until stopped, such as 60s.", show_default=False)
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Have what differs in Redis written anew.")] = False,
    metrics_port: Annotated[
        int, typer.Option(help="With --every: the loopback port of /metrics, 0 = a free one.", min=0, max=65535)
    ] = 9465,
    timeout: Annotated[str, typer.Option(help="How long to wait for the feed and for keys to stand still.")] = "15s",
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare what is served with the ERP's own answer. Leaves with 0 when equal, 10 when keys differ.

    Examples: onhand verify · onhand verify erp --item BOLT-M8 · onhand verify --sample 1% --every 60s
    · onhand verify --repair
    """
    patience, width = seconds("--timeout", timeout), _width(sample)
    pause = seconds("--every", every) if every is not None else None
    if item is not None and sample is not None:
        raise UsageError("verify takes --item or --sample, not both", "leave one of them out")
    settings, chosen = load_source(ctx, source)
    task = Task(settings, chosen, reader(settings, chosen), patience, item, width, repair, output)
    first = width and width * random.randrange(SLOTS // width)  # noqa: S311 - where sampling begins is no secret
    if pause is not None:
        _keep_on(task, first, pause, metrics_port)
    raise typer.Exit(DiffersError.exit_code if _once(task, first).differing else 0)


def _once(task: Task, first: int) -> Outcome:
    """One comparison, told; its outcome after a repair."""
    applied = sources.load_applied(task.settings.kafka, task.source.name)
    log_end = partial(kafka.end_offset, task.settings.kafka, applied.topics["log"])
    comparison = Comparison(task.source, applied, task.reader, log_end, say)
    scope = _scope(task, first)
    found = final = comparison.run(scope, task.patience)
    if task.item is not None and not found.keys:
        raise UsageError(
            f"neither the ERP nor Redis knows item {task.item!r}", "onhand get --all shows every item's code"
        )
    layers = _layers(task, comparison, found)
    mendable = [key for key, layer in layers.items() if layer == REDIS]
    if task.repair and mendable:
        say(f"repair: {len(mendable)} keys are put before the worker, to be written as it remembers them")
        _put_before_the_worker(task, mendable)
        final = comparison.run(scope, task.patience)
        telemetry.VERIFY_REPAIRED.labels(task.source.name).inc(sum(_state(k, final) == MENDED for k in mendable))
        layers |= _layers(task, comparison, final, known=layers)
        found.differing |= {k: v for k, v in final.differing.items() if k not in found.differing}
    _tell(task, found, final, layers)
    return final


def _put_before_the_worker(task: Task, keys: list[str]) -> None:
    task.reader.suspect(keys)
    deadline = time.monotonic() + task.patience
    while task.reader.suspects():
        if time.monotonic() > deadline:
            raise NotReadyError("repair: no worker looked at the keys", f"onhand worker {task.source.name}")
        time.sleep(POLL_SECONDS)


def _layers(task: Task, comparison: Comparison, outcome: Outcome, known: Collection[str] = ()) -> dict[str, str]:
    differing = {key: both for key, both in outcome.differing.items() if key not in known}
    if not differing:
        return {}
    say(f"{len(differing)} keys differ: reading the log to see where")
    fold = fold_log(task.settings.kafka, comparison.applied, task.source.topic_prefix)
    return layers_of(comparison, fold, differing, outcome.degraded)


def _state(key: str, final: Outcome) -> str:
    """What a repair made of a key that differed."""
    return "differs still" if key in final.differing else "kept changing" if key in final.moving else MENDED


def _tell(task: Task, found: Outcome, final: Outcome, layers: Mapping[str, str]) -> None:
    emit([row for key in sorted(layers) for row in _rows(key, found, layers[key], final, task.repair)], task.output)
    for layer in dict.fromkeys(layers[key] for key in sorted(final.differing.keys() & layers.keys())):
        say(f"{layer}: {_fix(layer, task)}")
    moving = len(final.moving)
    say(f"coverage: {100 * final.coverage:.1f} % of {final.keys} keys compared at a standstill"
        + (f"; {moving} kept changing all the while, and do not count" if moving else ""))  # fmt: skip
    result = line(task.source.name, final)
    if task.output is Output.TABLE:
        print(result, flush=True)  # noqa: T201 - the result is data
    else:
        say(result)


def line(source: str, outcome: Outcome) -> str:
    """The last line, for people and scripts."""
    differ = f"{len(outcome.differing)} differ" + (", the feed is behind" if outcome.behind else "")
    return f"verify: {source}: {outcome.compared} keys compared at {outcome.position}, {differ}"


def _rows(key: str, found: Outcome, layer: str, final: Outcome, repaired: bool) -> list[dict[str, str]]:
    """What differs of a key, number by number; `state`: what readers of it were told."""
    expected, served = found.differing[key]
    fields = [n for n in {**expected, **served} if expected.get(n) != served.get(n)]
    more = {"differs": layer, "state": "degraded" if key in found.degraded else "live"}
    if repaired:
        more["repair"] = _state(key, final)
    return [
        {"key": key, "field": n, "erp": expected.get(n, "none"), "served": served.get(n, "none")} | more for n in fields
    ]


def _fix(layer: str, task: Task) -> str:
    name = task.source.name
    if layer == REDIS and not task.repair:
        return f"somebody else wrote into Redis, or it lost writes: onhand verify {name} --repair"
    if layer in (REDIS, ROWS):
        return "the worker holds other figures than its log gives: stop it and start it again, and please report it"
    if layer == QUARANTINED:
        return f"the newest record of a row cannot be read, and these keys say so: onhand quarantine list {name}"
    assert layer == ERP  # noqa: S101 - the four there are
    return (
        "the log does not say what the ERP says, and no repair of ours can know better. If onhand status shows that"
        " capture stands still or rows are in quarantine, mend that; else read all rows anew:"
        f" onhand apply --snapshot {name}"
    )


# -- again and again


def _keep_on(task: Task, first: int, pause: float, port: int) -> None:
    """Compare for ever, one line a round; what cannot be compared now is told and tried again."""
    name = task.source.name
    say(f"metrics at http://127.0.0.1:{_serve_metrics(port)}/metrics")
    telemetry.VERIFY_INTERVAL.labels(name).set(pause)
    while True:
        begun = time.monotonic()
        try:
            outcome = _once(task, first)
        except OnhandError as e:
            telemetry.VERIFIED.labels(name, "failed").inc()
            say(f"verify: {name}: {e}")
        else:
            _measure(name, outcome)
        first = first + task.sample if first + task.sample < SLOTS else 0
        time.sleep(max(0.0, pause - (time.monotonic() - begun)))


def _serve_metrics(port: int) -> int:
    try:
        server, _ = prometheus_client.start_http_server(port, "127.0.0.1", registry=telemetry.REGISTRY)
    except OSError as e:
        what = f"cannot serve metrics on 127.0.0.1:{port}: {e.strerror}"
        raise NotReadyError(what, "stop what listens there, or choose another --metrics-port") from None
    return int(server.server_port)


def _measure(name: str, outcome: Outcome) -> None:
    if outcome.behind:  # what is late differs and is not wrong: the feed has alerts of its own
        telemetry.VERIFIED.labels(name, "behind").inc()
        return
    telemetry.VERIFIED.labels(name, "differ" if outcome.differing else "equal").inc()
    telemetry.VERIFY_KEYS.labels(name).set(outcome.keys)
    telemetry.VERIFY_COVERAGE.labels(name).set(outcome.coverage)
    telemetry.VERIFY_DIFFERING.labels(name).set(len(outcome.differing))
    telemetry.VERIFY_FINISHED.labels(name).set(time.time())


# -- what was typed


def _scope(task: Task, first: int) -> Scope:
    if task.item is not None:
        return item_scope(task.reader, task.item)
    if not task.sample:
        return Scope()
    return Scope(Items(slots=(first, min(first + task.sample, SLOTS))))


def _width(sample: str | None) -> int:
    if sample is None:
        return 0
    try:
        width = round(float(sample.removesuffix("%")) * SLOTS / 100)
    except (ValueError, OverflowError):
        width = -1
    if not sample.endswith("%") or not 0 < width <= SLOTS:
        raise UsageError(f"--sample {sample}: not a share of the items", "write it as 1%, at least 0.01%, at most 100%")
    return width
