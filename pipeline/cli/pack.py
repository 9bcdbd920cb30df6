"""`onhand pack check` and `onhand pack new`: for the person who writes a pack."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from pipeline import pack as packs
from pipeline.cli.common import Output, OutputOption, say, table, width
from pipeline.cli.pack_check import Report, examine
from pipeline.cli.pack_new import Dialect, write
from pipeline.cli.pack_report import TITLES, sections
from pipeline.domain.errors import PackError, UsageError
from pipeline.manifest import MANIFEST

app = typer.Typer(name="pack", help="Write a pack: what your ERP's stock is, in SQL.", no_args_is_help=True)
Rows = list[dict[str, Any]]
SHUFFLES = 5
_READ = ("needs", "notes", "failed", "refused")  # sections of sentences; the others are tables


@app.command()
def check(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A pack's folder, or a pack of onhand by its name.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter; a list is written 1,2.")
    ] = None,
    shuffles: Annotated[
        int, typer.Option(min=0, help="How many other orders of events each case is run in.")
    ] = SHUFFLES,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what a pack captures, yields and needs, and what is wrong with it; run its cases. No database is needed.

    Leaves with 0 when all is good, 1 when cases fail, 2 when something is refused.

    Examples: onhand pack check my-erp · onhand pack check tryton · onhand pack check my-erp --param orgs=1,2 -o json
    """
    report = examine(_folder(directory), dict(_param(p) for p in param or ()), shuffles)
    verdict = _verdict(directory, report, shuffles)
    shown = sections(report)
    if output is Output.JSON:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode({"pack": directory, **shown})) + b"\n")
        say(verdict)
    else:
        _print(shown, verdict)
    raise typer.Exit(PackError.exit_code if report.refused else 1 if report.failures else 0)


@app.command()
def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; its name is the pack's.")],
    dialect: Annotated[Dialect, typer.Option(help="The SQL that the ERP's database speaks.")],
) -> None:
    """Write a small pack that works, to be changed into your own: its queries, the tables they read, cases, notes.

    Examples: onhand pack new my-erp --dialect postgres · onhand pack new sites/u8 --dialect tsql
    """
    for file in write(directory, dialect):
        say(f"wrote {file}")
    say(f"next: onhand pack check {directory}")


def _folder(directory: str) -> Path:
    """A folder of this machine before a pack of that name."""
    folder = Path(directory)
    if (folder / MANIFEST).is_file():
        return folder
    if folder.exists():
        raise UsageError(
            f"{folder} holds no {MANIFEST}", f"onhand pack new makes one; onhand's own are {', '.join(packs.known())}"
        )
    if directory in packs.known():
        return packs.folder_of(directory)
    raise UsageError(f"there is no folder {folder}", f"onhand pack new {folder} --dialect postgres")


def _param(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"--param {text}: not NAME=VALUE", "write it as --param orgs=1,2")
    return name.strip(), value.strip()


def _verdict(directory: str, report: Report, shuffles: int) -> str:
    name = f"pack check: {directory}"
    if report.refused:
        return f"{name}: {_count(len(report.refused), 'thing')} refused"
    if report.failures:
        return f"{name}: {_count(len(report.failures), 'case')} failed"
    if report.cases is None:
        return f"{name}: good, and no cases"
    steps = sum(len(c.steps) for c in report.cases.cases)
    ran = f"{_count(len(report.cases.cases), 'case')} of {_count(steps, 'step')}"
    return f"{name}: good; {ran} held plain, doubled and in {_count(shuffles, 'other order')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _print(shown: Mapping[str, Rows], verdict: str) -> None:
    console = Console(
        highlight=False, markup=False, soft_wrap=True, width=width([row for rows in shown.values() for row in rows])
    )
    for name, rows in shown.items():
        if rows:
            console.print(TITLES[name], style="bold")
            _section(console, name, rows)
    console.print(verdict)
    sys.stdout.flush()


def _section(console: Console, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    if name in _READ:
        for row in rows:
            console.print("\n".join(f"  {line}" for line in _lines(name, row)))
        console.print()
    else:
        console.print(table([{n: ", ".join(v) if isinstance(v, list) else v for n, v in row.items()} for row in rows]))


def _lines(name: str, row: Mapping[str, Any]) -> list[str]:
    """A row that is read rather than compared."""
    if name == "refused":
        return f"{row['where'] + ': ' if row['where'] else ''}{row['what']}\n  fix: {row['fix']}".splitlines()
    if name == "failed":
        return [f"{row['where']}: {row['case']}: {row['step']} ({row['manner']})", *(f"  {s}" for s in row["says"])]
    return [str(row["note"])]
