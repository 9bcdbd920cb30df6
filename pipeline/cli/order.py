"""`onhand order`: what an order needs, what was issued, and whether stock covers the rest."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say
from pipeline.domain.errors import NotReadyError, UsageError

_HEAD = ("status", "due", "product", "department", "order_type", "degraded")


def order(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NO", help="An order's number.")],
    source: Annotated[
        str | None,
        typer.Option(help="A source of the settings; needed only where there are several.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show an order line by line: required, issued, still open, over, and what stock is short of for it.

    Examples: onhand order 4711 · onhand order 4711 -o json · onhand order 4711 --source erp
    """
    settings, chosen = load_source(ctx, source)
    served = reader(settings, chosen)
    meta = served.meta()
    if not meta:
        raise NotReadyError(f"nothing is served for source {chosen.name} yet", f"onhand worker {chosen.name}")
    fields = served.order(number)
    if not fields:
        lists = f"redis-cli --scan --pattern '{chosen.prefix}:order:*' lists those there are; their pack has orders.sql"
        raise UsageError(f"no order {number!r} is served", lists)
    emit(lines(fields), output)
    head = ", ".join(f"{name} {fields[name]}" for name in _HEAD if name in fields)
    say(f"order {fields.get('order_no', number)}: {head}")
    say(f"as of {meta.get('as_of', 'unknown')}, {meta.get('state', 'unknown')}")


def lines(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """The lines of an order as it is served; the numbers stay the decimal strings that are served."""
    return msgspec.json.decode(fields.get("lines", "[]"), type=list[dict[str, Any]])
