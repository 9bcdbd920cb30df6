"""`onhand export`: a source's stock at one position, in a file."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.adapters import states
from pipeline.cli.common import load_source, say
from pipeline.cli.past import PositionOption, look_back, moment
from pipeline.domain import stored
from pipeline.domain.errors import UsageError
from pipeline.domain.times import iso


def export(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[SOURCE] FILE", help="A source, needed only where there are several; the file, gzipped as .gz."
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="As of a time, as in as-of; else now.", show_default=False),
    ] = None,
    position: PositionOption = None,
) -> None:
    """Store the stock of every item in a file, with its position and a checksum. The same state gives the same bytes.

    It is read from the log: nothing needs to be served, and the worker is not disturbed.

    Examples: onhand export stock.jsonl.gz · onhand export erp erp.jsonl.gz
    · onhand export monday.jsonl --at '2026-11-23 06:00'
    """
    if len(words) > 2:
        raise UsageError("export takes a source and a file", "onhand export erp stock.jsonl.gz")
    settings, chosen = load_source(ctx, words[0] if len(words) == 2 else None)
    found = look_back(settings, chosen, moment(chosen, at, position))
    header = stored.Header(
        source=chosen.name, prefix=found.applied.prefix, epoch=found.applied.epoch, position=str(found.place.position),
        as_of=iso(found.place.time_ms), digest=found.applied.digest, quarantined=found.quarantined,
    )  # fmt: skip
    states.store(Path(words[-1]), stored.Stored(header, stored.fields_of(found.documents)))
    say(f"{words[-1]}: {len(found.documents)} keys {found.said}")
