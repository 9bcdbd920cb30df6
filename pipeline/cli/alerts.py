"""`onhand alerts`: what is open, what it is about, and who has taken note of it."""

import getpass
import time
from typing import Annotated, Any

import typer

from pipeline.adapters import acks
from pipeline.adapters.acks import Ack
from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say
from pipeline.domain.alerts import Alert
from pipeline.domain.errors import UsageError
from pipeline.domain.times import iso
from pipeline.rules import rules_of
from pipeline.settings import Settings, Source

app = typer.Typer(
    name="alerts", help="Open alerts: list, show, ack.", no_args_is_help=True, rich_markup_mode="rich"
)  # fmt: skip
SourceOption = Annotated[
    str | None, typer.Option(help="A source of the settings; needed only where there are several.", show_default=False)
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it; its end may be left out.")]
Row = dict[str, Any]


@app.command("list")
def list_(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A source.", show_default=False)] = None,
    department: Annotated[str | None, typer.Option(help="Those of one department.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="Those of one kind.", show_default=False)] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the open alerts, oldest first, with who has taken note of them.

    Examples: onhand alerts list · onhand alerts list erp --department warehouse -o json
    """
    settings, chosen = load_source(ctx, source)
    noted = acks.held(settings.kafka, chosen.acks_topic)
    found = [a for a in _open(settings, chosen) if department in (None, a.department) and kind in (None, a.kind)]
    emit([_line(a, noted.get(a.id)) for a in found], output)
    if not found:
        say("no alert is open")


@app.command()
def show(
    ctx: typer.Context, ident: IdArgument, source: SourceOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show everything about one open alert, and the rule that it comes from.

    Examples: onhand alerts show negative_available/RIM/WH · onhand alerts show ID -o json
    """
    settings, chosen = load_source(ctx, source)
    alert = _named(_open(settings, chosen), ident, chosen)
    rule = next((r.rule for r in rules_of(chosen) if r.rule.kind == alert.kind), None)
    conditions = {"when": rule.when, "until": rule.until or None} if rule is not None else {}
    told = _line(alert, acks.held(settings.kafka, chosen.acks_topic).get(alert.id)) | conditions
    if output is Output.JSON:
        emit([told], output)
    else:
        emit([{"what": name, "is": value} for name, value in told.items() if value is not None], output)


@app.command()
def ack(
    ctx: typer.Context,
    ident: IdArgument,
    note: Annotated[str, typer.Option(help="What there is to say of it.")] = "",
    source: SourceOption = None,
) -> None:
    """Take note of an open alert: `list` says who did, and when. It stays open until what it says has ended.

    Examples: onhand alerts ack negative_available/RIM/WH --note "counted again on Friday"
    """
    settings, chosen = load_source(ctx, source)
    found = _open(settings, chosen)
    alert = _named(found, ident, chosen)
    taken = Ack(getpass.getuser(), int(time.time() * 1000), note.strip())
    acks.acknowledge(settings.kafka, chosen.acks_topic, alert.id, taken)
    acks.forget(settings.kafka, chosen.acks_topic, acks.held(settings.kafka, chosen.acks_topic), (a.id for a in found))
    say(f"noted: {alert.id} by {taken.who}")


def _open(settings: Settings, source: Source) -> list[Alert]:
    return [Alert.from_dict(held) for held in reader(settings, source).alerts()]


def _named(found: list[Alert], ident: str, source: Source) -> Alert:
    """The alert of this id; without its episode the one that is open."""
    named = [alert for alert in found if ident in (alert.id, alert.stem)]
    if len(named) != 1:
        what = f"no alert {ident} is open" if not named else f"several alerts {ident} are open"
        raise UsageError(what, f"onhand alerts list {source.name}")
    return named[0]


def _line(alert: Alert, taken: Ack | None) -> Row:
    line: Row = {name: value for name, value in alert.to_dict().items() if name not in ("state", "position")}
    noted = {"acked": iso(taken.time_ms), "by": taken.who, "note": taken.note or None} if taken is not None else {}
    return line | ({"acked": None, "by": None, "note": None} | noted)
