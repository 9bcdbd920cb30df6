"""What every command shares: its arguments, its settings, and how it prints."""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import stamina.instrumentation
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pipeline import settings
from pipeline.adapters.served import Reader
from pipeline.domain.errors import UsageError
from pipeline.settings import Settings, Source

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE", help="A source of the settings; needed only where there are several.", show_default=False
    ),
]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How data is printed on stdout.")]

_stderr = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def say(text: str) -> None:
    """Talk to the person, on stderr."""
    _stderr.print(text)


def quiet_libraries() -> None:
    """Libraries would log to stderr what our own errors say better; retries are part of the work."""
    for name in ("aiokafka", "sqlglot"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    stamina.instrumentation.set_on_retry_hooks([])


def load_settings(ctx: typer.Context) -> Settings:
    """The settings, from the file that --config names or where they are by default."""
    file = ctx.obj
    return settings.load(file if isinstance(file, Path) else None)


def load_source(ctx: typer.Context, name: str | None) -> tuple[Settings, Source]:
    """The settings and the source a command is about."""
    loaded = load_settings(ctx)
    return loaded, loaded.source(name)


def reader(loaded: Settings, source: Source) -> Reader:
    """A reader of what is served of `source`."""
    return Reader(loaded.redis.address, source.prefix, loaded.redis.secret)


def emit(rows: Iterable[Mapping[str, Any]], output: Output) -> None:
    """Print rows: a JSON array, or a table of every column that occurs."""
    rows = list(rows)
    if output is Output.JSON:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
        sys.stdout.flush()
    elif rows:
        Console(highlight=False, markup=False, width=width(rows)).print(table(rows))
        sys.stdout.flush()


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as a table; numbers to the right."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        shown.add_column(
            name, justify="right" if all(_number(row.get(name)) for row in rows) else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(text(row.get(name)) for name in columns))
    return shown


def text(value: Any) -> str:
    """A table's cell."""
    return "" if value is None else str(value)


def _number(value: Any) -> bool:
    try:
        return value in (None, "") or float(value) is not None
    except (TypeError, ValueError):
        return False


def width(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """A pipe or a file gets whole lines; a terminal its own width."""
    return None if sys.stdout.isatty() else 40 + 4 * max(sum(len(f"{k}{v}") for k, v in row.items()) for row in rows)


def seconds(option: str, text: str) -> float:
    """A time as people write it. Raises UsageError."""
    number = text.rstrip("msh")
    try:
        return float(number) * _UNITS[text[len(number) :] or "s"]
    except (ValueError, KeyError):
        raise UsageError(f"{option} {text}: not a time", "write it as 15s, 500ms or 2m") from None
