"""`onhand movements`: what was posted lately, as any app follows it in Redis."""

from typing import Annotated

import typer

from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say
from pipeline.domain.errors import NotReadyError

_TABLE = (
    "committed", "event", "kind", "doc_type", "doc_no", "line", "order_no", "item", "warehouse", "qty",
    "on_hand_before", "on_hand_after",
)  # fmt: skip


def movements(
    ctx: typer.Context,
    *,
    item: Annotated[str | None, typer.Option(help="Only those of this item.", show_default=False)] = None,
    order: Annotated[str | None, typer.Option(help="Only those booked on this order.", show_default=False)] = None,
    last: Annotated[int, typer.Option(help="How many, the newest.", min=1)] = 50,
    source: Annotated[
        str | None,
        typer.Option(help="A source of the settings; needed only where there are several.", show_default=False),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what was posted and taken back lately, oldest first: Redis keeps about the last 10,000.

    Examples: onhand movements · onhand movements --item BOLT-M8 · onhand movements --order 4711 -o json
    """
    settings, chosen = load_source(ctx, source)
    served = reader(settings, chosen)
    meta = served.meta()
    if not meta:
        raise NotReadyError(f"nothing is served for source {chosen.name} yet", f"onhand worker {chosen.name}")
    wanted = {name: value for name, value in (("item", item), ("order_no", order)) if value is not None}
    found = [event for event in served.movements() if all(event.get(n) == v for n, v in wanted.items())][-last:]
    shown = found if output is Output.JSON else [{n: event.get(n, "") for n in _TABLE} for event in found]
    emit(shown, output)
    say(f"as of {meta.get('as_of', 'unknown')}, {meta.get('state', 'unknown')}")
