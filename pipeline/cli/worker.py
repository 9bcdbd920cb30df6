"""`onhand worker`: fold the log and serve it, until told to stop."""

import typer

from pipeline.cli.common import SourceArgument, load_source


def worker(ctx: typer.Context, source: SourceArgument = None) -> None:
    """Fold the log of a source into stock and serve it, until stopped by SIGTERM or Ctrl-C.

    Examples: onhand worker · onhand worker erp · ONHAND_WORKER__METRICS_PORT=9465 onhand worker erp
    """
    settings, chosen = load_source(ctx, source)
    # Faust reads its environment and patches the event loop at import: only where it is meant to run
    from streams import worker as streams_worker  # noqa: PLC0415

    raise typer.Exit(streams_worker.run(settings, chosen.name))
