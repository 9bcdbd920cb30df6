"""`onhand diff`: a stored state against what is served now, or against another one."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.adapters import states
from pipeline.cli.common import Output, OutputOption, emit, load_settings, reader, say
from pipeline.domain import stored
from pipeline.domain.errors import DiffersError, NotReadyError, RefusedError
from pipeline.domain.names import parse_key
from pipeline.settings import Settings


def diff(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What onhand export stored.")],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="FILE2", help="A second one; else what is served now.", show_default=False),
    ] = None,
    item: Annotated[str | None, typer.Option(help="Only this item.", show_default=False)] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what differs between a stored state and now, or another one. Leaves with 0 when nothing does, else with 10.

    Examples: onhand diff monday.jsonl.gz · onhand diff monday.jsonl.gz sunday.jsonl.gz --item BOLT-M8 -o json
    """
    before = states.load(file)
    prefix = before.header.prefix
    if other is not None:
        after = _comparable(before, states.load(other), str(other))
        now, documents = _of(after.header), after.documents
        if after.header.digest != before.header.digest:
            say("the two are of different mappings: their numbers may differ for that")
    else:
        now, documents = _served(load_settings(ctx), before, item)
    held = before.documents
    if item is not None:
        held, documents = (stored.of_item(prefix, some, item) for some in (held, documents))
    found = list(stored.differences(held, documents))
    emit(({"key": d.key, **parse_key(prefix, d.key), **_line(d)} for d in found), output)
    say(f"diff: {len({d.key for d in found})} keys differ between {_of(before.header)} and {now}")
    raise typer.Exit(DiffersError.exit_code if found else 0)


def _line(d: stored.Difference) -> dict[str, str]:
    shown = {name: "none" if x is None else x for name, x in asdict(d).items()}
    return {"field": shown["field"], "stored": shown["before"], "now": shown["after"], "difference": d.amount}


def _of(header: stored.Header) -> str:
    return f"{header.as_of} ({header.position})"


def _comparable(before: stored.Stored, after: stored.Stored, name: str) -> stored.Stored:
    for what in ("source", "prefix"):
        mine, theirs = getattr(before.header, what), getattr(after.header, what)
        if mine != theirs:
            fix = "compare two states of one source"
            raise RefusedError(f"{name} is of {what} {theirs}, the first file of {what} {mine}", fix)
    return after


def _served(settings: Settings, before: stored.Stored, item: str | None) -> tuple[str, stored.Documents]:
    """What is served now of the source that the file names: of when, and the documents."""
    name, prefix = before.header.source, before.header.prefix
    source = settings.sources.get(name)
    if source is None or source.prefix != prefix:
        known = ", ".join(f"{s.name} (prefix {s.prefix})" for s in settings.sources.values()) or "none"
        what = f"the file is of source {name} with prefix {prefix}; the settings know {known}"
        raise RefusedError(what, "onhand --config FILE diff .., with the settings of that source")
    served = reader(settings, source)
    meta = served.meta()
    if "position" not in meta:
        raise NotReadyError(f"nothing is served for source {name} yet", f"onhand worker {name}")
    if meta.get("digest") != before.header.digest:
        say("the mapping was changed since: numbers may differ for that")
    documents = served.documents() if item is None else served.item(item)
    return f"{meta.get('as_of')} ({meta['position']}, {meta.get('state')})", documents
