"""`onhand demo`: a real ERP, captured and served, on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.domain.errors import NotReadyError


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Run the story without a terminal and leave with verify's exit code.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(help="Also save the live table as a picture.", show_default=False)] = None,
) -> None:
    """Start a real ERP, capture it, and watch its stock follow each business step.

    Examples: onhand demo · onhand demo --once · onhand demo --once --svg live.svg
    """
    # the stack's and the ERP's packages are extras that the other commands do without
    try:
        from infra.demo import run  # noqa: PLC0415
    except ModuleNotFoundError as e:
        raise NotReadyError(
            f"the demo needs the package {e.name}", "pip install 'onhand[demo]', or make demo"
        ) from None
    raise typer.Exit(run.main(once=once, svg=svg))
