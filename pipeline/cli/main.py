"""The command `onhand`: its commands, and what a person sees when something goes wrong.

Exit codes: 0 ok, 1 error, 2 wrong use, 3 plan has changes, 10 unhealthy or differs, 130 interrupted.
Data on stdout, talk on stderr.
"""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info, get_group
from typer.models import CommandInfo

from pipeline.cli.common import quiet_libraries, say
from pipeline.domain.errors import OnhandError

MARKUP: Final = "rich"
COMMANDS = (
    "plan", "apply", "worker", "status", "get", "order", "movements", "explain", "as-of", "verify", "export", "diff",
    "quarantine", "alerts", "demo", "pack",
)  # fmt: skip
"""Each is a module of `pipeline.cli` with a function of its name, or an `app` of several commands."""


class _Commands(Mapping[str, Any]):
    """Typer's commands by name, each imported when it is asked for: what one needs would cost every other a second."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        function = name.replace("-", "_")
        module = import_module(f"pipeline.cli.{function}")
        if hasattr(module, "app"):
            return get_group(module.app)
        command = CommandInfo(callback=getattr(module, function))
        return get_command_from_info(command, pretty_exceptions_short=True, rich_markup_mode=MARKUP)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]  # Typer only reads it


app = typer.Typer(
    name="onhand",
    cls=_Group,
    help="Real-time stock for the ERP a company already has: captured, folded, served and proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
