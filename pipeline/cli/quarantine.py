"""`onhand quarantine`: rows that could not be read or mapped, and what to do about them."""

import getpass
import sys
import time
from typing import Annotated, Any

import msgspec
import typer

from pipeline.adapters import quarantine, signals, sources
from pipeline.adapters.quarantine import Entry, Raw
from pipeline.applied import Applied
from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say
from pipeline.domain.errors import DiffersError, NotReadyError, UsageError
from pipeline.domain.times import iso
from pipeline.settings import Settings, Source

SHOWN_KEYS = 5
_POLL_S = 0.5

app = typer.Typer(
    name="quarantine",
    help="Rows that could not be read or mapped: list, show, replay, drop.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
SourceOption = Annotated[
    str | None, typer.Option(help="A source of the settings; needed only where there are several.", show_default=False)
]
IdArgument = Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A source.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were dropped, and why.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the rows in quarantine, with the keys that are served as degraded because of each.

    Examples: onhand quarantine list · onhand quarantine list erp --all -o json
    """
    settings, chosen = load_source(ctx, source)
    found = _entries(settings, chosen)
    keys = _degraded(settings, chosen)
    rows = [_line(e, keys.get(e.offset, []), output) for e in found if everything or e.dropped is None]
    emit(rows, output)
    if not rows:
        say("no row is in quarantine")


def _line(entry: Entry, keys: list[str], output: Output) -> dict[str, Any]:
    line: dict[str, Any] = {"id": entry.offset, "table": entry.table or "unknown", "reason": entry.reason}
    line |= {"since": iso(entry.time_ms) if entry.time_ms else None}
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    line["keys"] = keys if output is Output.JSON else ", ".join(keys[:SHOWN_KEYS]) + more
    return line | _trace(entry)


def _trace(entry: Entry) -> dict[str, str]:
    d = entry.dropped
    return {} if d is None else {"dropped": iso(d.time_ms), "by": d.who, "because": d.why}


@app.command()
def show(
    ctx: typer.Context, ident: IdArgument, source: SourceOption = None, output: OutputOption = Output.TABLE
) -> None:
    """Show everything about one row: why, where from, what to do, what it said before, and the raw record.

    Examples: onhand quarantine show 4711 · onhand quarantine show 4711 -o json
    """
    settings, chosen = load_source(ctx, source)
    entry = _entry(_entries(settings, chosen), ident, chosen)
    told = {
        "id": entry.offset, "table": entry.table or "unknown", "reason": entry.reason, "remedy": entry.remedy,
        "position": entry.position or None, "committed": iso(entry.time_ms) if entry.time_ms else None,
        "keys": _degraded(settings, chosen).get(ident, []),
        "before": msgspec.json.decode(entry.before), "key": _raw(entry.key), "value": _raw(entry.value),
    } | _trace(entry)  # fmt: skip
    if output is Output.JSON:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
        sys.stdout.flush()
        return
    emit(
        [{"": name, "value": value if isinstance(value, str) else _text(value)} for name, value in told.items()], output
    )


def _text(value: Any) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()


def _raw(raw: Raw | None) -> Any:
    if raw is None:
        return None
    if raw.whole and raw.text is not None:
        return raw.text
    cut = {} if raw.whole else {"cut off": f"the first {quarantine.LARGEST} of {raw.size} bytes"}
    return {"text": raw.text} | cut if raw.text is not None else {"base64": raw.base64} | cut


@app.command()
def replay(
    ctx: typer.Context,
    ident: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="As `list` shows it; all if left out.", show_default=False)
    ] = None,
    source: SourceOption = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the rows.", min=0)] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Have the connector read rows in quarantine from the ERP anew, and say which are right now. 10 = some are not.

    Examples: onhand quarantine replay · onhand quarantine replay 4711 --timeout 300
    """
    settings, chosen = load_source(ctx, source)
    found = [e for e in _entries(settings, chosen) if e.dropped is None]
    wanted = found if ident is None else [_entry(found, ident, chosen)]
    tables = _wishes(sources.load_applied(settings.kafka, chosen.name), wanted)
    if tables:
        signals.read_again(settings.kafka, chosen, tables, ident=f"quarantine {time.time_ns()}")
    left = _wait(settings, chosen, {e.offset for e in wanted if e.table in tables}, timeout)
    left |= {e.offset for e in wanted if e.table not in tables}
    emit([_line(e, [], output) | {"now": _now(e, left, tables)} for e in wanted], output)
    if left:
        raise DiffersError(f"{len(left)} rows are still in quarantine", "onhand quarantine show ID says what to do")


def _now(entry: Entry, left: set[int], tables: dict[str, str | None]) -> str:
    if entry.table not in tables:
        return "not read again: its table is not known"
    return "still in quarantine" if entry.offset in left else "right"


def _wishes(applied: Applied, wanted: list[Entry]) -> dict[str, str | None]:
    """Table -> which of its rows: those whose keys can be read, else all."""
    names = {t.name: t.primary_key for t in applied.schema.tables.values()}
    found: dict[str, list[str] | None] = {}
    for entry in wanted:
        if entry.table in names:
            condition = _condition(entry, names[entry.table], applied.dialect)
            some = found.setdefault(entry.table, [])
            found[entry.table] = None if some is None or condition is None else [*some, condition]
    # a statement of a million conditions is worse than the table
    return {t: " OR ".join(some) if some and len(some) <= 100 else None for t, some in found.items()}


def _condition(entry: Entry, columns: tuple[str, ...], dialect: str) -> str | None:
    try:
        row = msgspec.json.decode(entry.key.text or "" if entry.key else "")["row"]
        parts = [f"{_name(c, dialect)} = {_literal(row[c])}" for c in columns]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
    return f"({' AND '.join(parts)})"


def _name(column: str, dialect: str) -> str:
    return f"`{column}`" if dialect == "mysql" else '"{}"'.format(column.replace('"', '""'))


def _literal(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or "\\" in str(value):
        raise ValueError
    return str(value) if isinstance(value, int) else "'{}'".format(value.replace("'", "''"))


def _wait(settings: Settings, source: Source, offsets: set[int], timeout: float) -> set[int]:
    """Those of them that are still there when the time is up."""
    deadline = time.monotonic() + timeout
    while offsets:
        offsets = offsets & {e.offset for e in _entries(settings, source)}
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S if offsets else 0)
    return offsets


@app.command()
def drop(
    ctx: typer.Context,
    ident: IdArgument,
    reason: Annotated[str, typer.Option(help="Why it is right to go on without it; kept for ever.")],
    source: SourceOption = None,
) -> None:
    """Give a record up: its row goes on counting what it said before, and its keys are no longer degraded.

    Who dropped it, when and why stays in `list --all`.

    Examples: onhand quarantine drop 4711 --reason "a test record, written by hand"
    """
    if not reason.strip():
        raise UsageError("a row is dropped for a reason", 'onhand quarantine drop ID --reason "why it may be left out"')
    settings, chosen = load_source(ctx, source)
    entry = _entry([e for e in _entries(settings, chosen) if e.dropped is None], ident, chosen)
    topics = {"log": chosen.log_topic, "quarantine": chosen.quarantine_topic}
    quarantine.drop(settings.kafka, topics, entry, quarantine.dropped_now(getpass.getuser(), reason.strip()))
    say(f"dropped {ident}: what the row said before counts on; onhand quarantine list --all keeps the trace")


def _entries(settings: Settings, source: Source) -> list[Entry]:
    applied = sources.load_applied(settings.kafka, source.name)
    return quarantine.entries(settings.kafka, source.quarantine_topic, applied.epoch)


def _entry(found: list[Entry], ident: int, source: Source) -> Entry:
    for entry in found:
        if entry.offset == ident:
            return entry
    raise UsageError(f"no row {ident} is in quarantine", f"onhand quarantine list {source.name}")


def _degraded(settings: Settings, source: Source) -> dict[int, list[str]]:
    """The keys that are served as degraded, by the id of the oldest row that concerns each."""
    found: dict[int, list[str]] = {}
    try:
        documents = reader(settings, source).documents()
    except NotReadyError as e:
        say(f"which keys are degraded is not known: {e.what}")
        return found
    for key, fields in documents.items():
        ident = fields.get("degraded", "").partition(":")[0]
        if ident.isdecimal():
            found.setdefault(int(ident), []).append(key)
    return found
