"""`onhand as-of`: the stock as the log knew it at a moment of the past."""

from typing import Annotated

import typer

from pipeline.cli.common import Output, OutputOption, emit, load_source, say
from pipeline.cli.past import TIMES, PositionOption, look_back, moment
from pipeline.domain import stored
from pipeline.domain.errors import UsageError
from pipeline.domain.names import parse_key
from pipeline.domain.times import iso

_EXAMPLE = "onhand as-of '2 hours ago' BOLT-M8 MAIN, or onhand as-of --position 0/1A2B3C BOLT-M8"


def as_of(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TIME [ITEM [WAREHOUSE]]", help=f"{TIMES[:1].upper()}{TIMES[1:]}.", show_default=False),
    ] = None,
    position: PositionOption = None,
    source: Annotated[
        str | None,
        typer.Option(help="A source of the settings; needed only where there are several.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the stock as it was after the last commit up to TIME, by the log; a time without a zone is the source's.

    The log is complete from its beginning, or where Kafka has compacted it, for seven days. With --position, TIME is
    left out. It is folded here, in memory: the worker is not disturbed.

    Examples: onhand as-of 10:30 BOLT-M8 MAIN · onhand as-of '2 hours ago' -o json
    · onhand as-of --position 0/1A2B3C BOLT-M8
    """
    at, item, warehouse = _split(words or [], has_position=position is not None)
    settings, chosen = load_source(ctx, source)
    found = look_back(settings, chosen, moment(chosen, at, position))
    changed = {d.key: iso(d.time_ms) for d in found.documents}
    documents: stored.Documents = stored.fields_of(found.documents)
    if item is not None:
        documents = stored.of_item(chosen.prefix, documents, item, warehouse)
        if not documents:
            where = f" in warehouse {warehouse!r}" if warehouse else ""
            raise UsageError(f"there was no item {item!r}{where} {found.said}", "onhand as-of TIME shows all there was")
    emit(
        (
            {"key": key, **parse_key(chosen.prefix, key), **fields, "changed": changed[key]}
            for key, fields in sorted(documents.items())
        ),
        output,
    )
    say(found.said)


def _split(words: list[str], *, has_position: bool) -> tuple[str | None, str | None, str | None]:
    """(TIME, ITEM, WAREHOUSE) as typed. Raises UsageError."""
    words = ["", *words] if has_position else words
    if not 1 <= len(words) <= 3:
        raise UsageError("as-of takes a TIME or a --position, then an item, then a warehouse", _EXAMPLE)
    at, item, warehouse, *_ = [*words, None, None]
    return at or None, item, warehouse
