"""`onhand status`: whether stock flows, and how old what readers see is."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.live import Live

from pipeline.adapters import kafka
from pipeline.adapters.connect import Connect
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_settings, reader, table
from pipeline.domain.errors import DiffersError, OnhandError, UsageError
from pipeline.domain.times import milliseconds
from pipeline.settings import Settings, Source

STALE_S = 60  # the heartbeat comes every second; this long without one is an outage, not a pause
FOREIGN_S = 600
T = TypeVar("T")
_SERVING = {"live", "applying"}


def status(
    ctx: typer.Context,
    source: SourceArgument = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the connector, the worker, the feed's age and what is served, of every source or of one. 10 = unhealthy.

    Examples: onhand status · onhand status erp -o json · onhand status --watch
    """
    settings = load_settings(ctx)
    chosen = [settings.source(source)] if source or not settings.sources else list(settings.sources.values())
    if watch and output is Output.JSON:
        raise UsageError("--watch is for a terminal", "leave out -o json, or call status again and again")
    if watch:
        _watch(settings, chosen)
    rows = [look(settings, s) for s in chosen]
    emit(rows, output)
    if sick := [f"{row['source']}: {row['problem']}" for row in rows if row["problem"]]:
        raise DiffersError("unhealthy: " + "; ".join(sick), "onhand status --watch shows when it is over")


def _watch(settings: Settings, sources: list[Source]) -> None:
    """Refresh in place on a terminal; elsewhere (a log, a pipe) one table after the other."""
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        while True:
            rows = [look(settings, s) for s in sources]
            if live is None:
                emit(rows, Output.TABLE)
            else:
                live.update(table(rows), refresh=True)
            time.sleep(1)


def look(settings: Settings, source: Source) -> dict[str, Any]:
    """One source's health. `problem` is empty when stock flows; a part that is away is a problem, not an error."""
    problems: list[str] = []
    connector = _ask(problems, lambda: _connector(settings, source, problems)) or {}
    served = _ask(problems, lambda: _served(settings, source, problems)) or {}
    end = _ask(problems, lambda: kafka.end_offset(settings.kafka, source.log_topic))
    offset = served.pop("offset", None)
    return {
        "source": source.name,
        "connector": connector.get("connector"),
        "task": connector.get("task"),
        "worker": served.get("worker"),
        "age_s": served.get("age_s"),
        "lag": None if end is None or offset is None else max(0, end - offset - 1),
        "keys": served.get("keys"),
        "quarantined": served.get("quarantined"),
        "alerts": served.get("alerts"),
        "problem": "; ".join(dict.fromkeys(problems)),
    }


def _ask(problems: list[str], ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except OnhandError as e:
        problems.append(e.what)
        return None


def _connector(settings: Settings, source: Source, problems: list[str]) -> dict[str, str]:
    state = Connect(settings.kafka).state(source.connector)
    if state is None:
        problems.append(f"there is no connector {source.connector}: onhand apply {source.name}")
        return {"connector": "none", "task": "none"}
    if not state.running:
        problems.append(f"the connector does not run: {state.reason or state.task}")
    return {"connector": state.connector, "task": state.task}


def _served(settings: Settings, source: Source, problems: list[str]) -> dict[str, Any]:
    redis = reader(settings, source)
    problems += _ask(problems, redis.complaints) or []
    problems += _foreign(redis.scrubbed())
    meta = redis.meta()
    if not meta:
        problems.append(f"nothing is served yet: onhand worker {source.name}")
        return {"worker": "none"}
    age, quarantined = _age(meta), int(meta.get("quarantined", 0))
    if meta.get("state") not in _SERVING:
        problems.append(f"the worker is {meta.get('state', 'silent')}")
    if age is None or age > STALE_S:
        problems.append("what is served is old" if age is None else f"what is served is {age:.0f} s old")
    if quarantined:
        problems.append(f"{quarantined} rows could not be read")
    return {
        "worker": meta.get("state"),
        "age_s": age,
        "offset": int(meta["offset"]) if meta.get("offset", "").isdigit() else None,
        "keys": int(meta["keys"]) if "keys" in meta else len(redis.documents()),
        "quarantined": quarantined,
        "alerts": len(redis.alerts()),
    }


def _foreign(scrubbed: Mapping[str, str]) -> list[str]:
    """Whether somebody else wrote into our keys, or they were lost, not long ago."""
    age = _age({"as_of": scrubbed.get("last", "")})
    if age is None or age > FOREIGN_S:
        return []
    return [f"keys in Redis were not what the worker wrote: {scrubbed['mended']} mended, the last {age:.0f} s ago"]


def _age(meta: Mapping[str, str]) -> float | None:
    """Seconds since the source time up to which the feed is complete."""
    try:
        return round(max(0.0, datetime.now(UTC).timestamp() - milliseconds(meta["as_of"]) / 1000), 1)
    except (KeyError, TypeError, ValueError):
        return None
