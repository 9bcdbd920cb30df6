"""`onhand status`: whether stock flows, and how old what readers see is."""

import time
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live

from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_settings, reader, table
from pipeline.cli.hops import Look
from pipeline.domain.errors import DiffersError, UsageError
from pipeline.settings import Settings, Source


def status(
    ctx: typer.Context,
    source: SourceArgument = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show whether stock flows, and of each part from the ERP to Redis how it does, why, and the fix. 10 = unhealthy.

    Examples: onhand status · onhand status erp -o json · onhand status --watch
    """
    settings = load_settings(ctx)
    chosen = [settings.source(source)] if source or not settings.sources else list(settings.sources.values())
    if watch and output is Output.JSON:
        raise UsageError("--watch is for a terminal", "leave out -o json, or call status again and again")
    if watch:
        _watch(settings, chosen)
    rows, hops = _looks(settings, chosen)
    if output is Output.JSON:
        emit([row | {"hops": [h for h in hops if h["source"] == row["source"]]} for row in rows], output)
    else:
        emit(rows, output)
        emit(hops, output)
    if sick := [f"{row['source']}: {row['problem']}" for row in rows if row["problem"]]:
        fixes = dict.fromkeys(hop["fix"] for hop in hops if hop["fix"])
        raise DiffersError("unhealthy: " + "; ".join(sick), "\n       ".join(fixes))


def _watch(settings: Settings, sources: list[Source]) -> None:
    """Refresh in place on a terminal; elsewhere (a log, a pipe) one table after the other."""
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        while True:
            rows, hops = _looks(settings, sources)
            if live is None:
                emit(rows, Output.TABLE)
            else:
                live.update(Group(table(rows), table(hops)), refresh=True)
            time.sleep(1)


def _looks(settings: Settings, sources: list[Source]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    looked = [look(settings, source) for source in sources]
    return [row for row, _ in looked], [hop for _, hops in looked for hop in hops]


def look(settings: Settings, source: Source) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One source's health, and each part's. `problem` is empty when stock flows; a part that is away is a problem."""
    found = Look(settings, source, reader(settings, source))
    capture = found.capture
    away = found.connect.state == "away"
    row = {
        "source": source.name,
        "connector": capture.connector if capture else None if away else "none",
        "task": capture.task if capture else None if away else "none",
        "worker": None if found.redis.state == "away" else found.worker.state,
        "age_s": found.age_s,
        "lag": found.lag,
        "keys": found.keys,
        "quarantined": found.quarantined,
        "alerts": found.alerts,
        "problem": found.problem,
    }
    return row, found.rows()
