"""`onhand get`: what is served, as any app reads it."""

from collections.abc import Mapping
from typing import Annotated

import typer

from pipeline.adapters.served import Documents
from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say
from pipeline.domain.errors import NotReadyError, UsageError
from pipeline.domain.names import parse_key

_INTERNAL = {"v"}


def get(
    ctx: typer.Context,
    item: Annotated[str | None, typer.Argument(metavar="ITEM", help="An item's code.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every item.")] = False,
    source: Annotated[
        str | None,
        typer.Option(help="A source of the settings; needed only where there are several.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the stock of one item, or of all: totals, per warehouse, and the detail where the ERP has it.

    Examples: onhand get BOLT-M8 · onhand get --all -o json · onhand get BOLT-M8 --source erp
    """
    if (item is None) != everything:
        raise UsageError("get takes either an item's code or --all", "onhand get BOLT-M8, or onhand get --all")
    settings, chosen = load_source(ctx, source)
    served = reader(settings, chosen)
    meta = served.meta()
    if not meta:
        raise NotReadyError(f"nothing is served for source {chosen.name} yet", f"onhand worker {chosen.name}")
    documents = served.documents() if item is None else served.item(item)
    if item is not None and not documents:
        raise UsageError(f"nothing is served for item {item!r}", "onhand get --all shows every item's code")
    emit(rows(chosen.prefix, documents), output)
    say(f"as of {meta.get('as_of', 'unknown')}, {meta.get('state', 'unknown')}")


def rows(prefix: str, documents: Documents) -> list[Mapping[str, str]]:
    """Served keys with their dimensions as fields; the numbers stay the decimal strings that are served."""
    return [
        {"key": key, **parse_key(prefix, key), **{n: x for n, x in fields.items() if n not in _INTERNAL}}
        for key, fields in documents.items()
    ]
