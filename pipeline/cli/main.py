"""The command `onhand`: its commands, and what a person sees when something goes wrong.

Exit codes: 0 ok, 1 error, 2 wrong use, 3 plan has changes, 10 unhealthy or differs, 130 interrupted.
Data on stdout, talk on stderr.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import apply, demo, explain, get, pack, plan, status, verify, worker
from pipeline.cli.common import quiet_libraries, say
from pipeline.domain.errors import OnhandError

app = typer.Typer(
    name="onhand",
    help="Real-time stock for the ERP a company already has: captured, folded, served and proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    plan.plan,
    apply.apply,
    worker.worker,
    status.status,
    get.get,
    explain.explain,
    verify.verify,
    demo.demo,
):
    app.command()(command)
app.add_typer(pack.app)


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; else ONHAND_CONFIG, else ./onhand.toml.", show_default=False)
    ] = None,
) -> None:
    ctx.obj = config


def main() -> None:
    """Run the command line and leave with its exit code. No traceback reaches a person."""
    quiet_libraries()
    try:
        app()  # leaves by SystemExit: wrong use 2, Ctrl-C 130, else the command's own code
    except OnhandError as e:
        say(f"onhand: {e}")
        sys.exit(e.exit_code)
    except Exception as e:  # noqa: BLE001 - the last place to turn a bug into one line
        sys.exit(_bug(e))


def _bug(e: Exception) -> int:
    if os.environ.get("ONHAND_DEBUG") == "1":
        traceback.print_exc()
        return 1
    frame = traceback.extract_tb(e.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    say(f"onhand: a bug, please report it: {type(e).__name__} at {place}\n  fix: ONHAND_DEBUG=1 shows the traceback")
    return 1


if __name__ == "__main__":
    main()
