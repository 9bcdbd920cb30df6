"""`onhand plan`: what `apply` would do, and what readers would see meanwhile. Changes nothing."""

from collections.abc import Iterator, Mapping

import typer

from pipeline import applied
from pipeline.adapters import erp_preflight, kafka, sources
from pipeline.adapters.connect import Connect
from pipeline.cli.apply import Plan, prepare, record_of, topics_of
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_source, say
from pipeline.cli.reread import captured_by
from pipeline.query.drift import differences
from pipeline.settings import Settings

CHANGES = 3
"""The exit code where there is something to do."""
Row = dict[str, str]


def plan(ctx: typer.Context, source: SourceArgument = None, output: OutputOption = Output.TABLE) -> None:
    """Show what `apply` would do: topics, rights, connector, mapping, rows read again. 3 = there is something to do.

    Examples: onhand plan · onhand plan erp · onhand plan erp -o json
    """
    settings, chosen = load_source(ctx, source)
    wanted = prepare(settings, chosen, tolerant=True)
    rows = list(_rows(settings, wanted))
    emit(rows, output)
    for warning in wanted.warnings:
        say(f"warning: {warning}")
    if rows:
        raise typer.Exit(CHANGES)
    say(f"source {chosen.name} is as it must be: nothing to do")


def _rows(settings: Settings, plan: Plan) -> Iterator[Row]:
    for lack in plan.lacks:
        yield _row("ERP", plan.source.database.rpartition("/")[2], lack.what, f"as a superuser: {lack.fix}")
    yield from _schema(plan)
    for topic in (*topics_of(plan.source, plan.pack.kinds), applied.TOPIC):
        if kafka.settings_of(settings.kafka, topic) is None:
            yield _row("topic", topic, "is made")
    yield from _connector(settings, plan)
    yield from _reading(plan)
    yield from _mapping(settings, plan)


def _row(part: str, name: str, what: str, note: str = "") -> Row:
    return {"part": part, "name": name, "what": what, "note": note}


def _schema(plan: Plan) -> Iterator[Row]:
    if plan.before is not None:
        for found in differences(plan.before.schema, plan.catalog, captured_by(plan.before)):
            yield _row("schema", found.table, found.what, "since it was applied")


def _connector(settings: Settings, plan: Plan) -> Iterator[Row]:
    name = plan.source.connector
    now = Connect(settings.kafka).config(name)
    if now is None:
        yield _row("connector", name, "is made")
        return
    wanted = {**plan.connector, "name": name}
    for key in sorted(now.keys() | wanted.keys()):
        old, new = now.get(key), wanted.get(key)
        if old != new:
            yield _row("connector", name, f"{key}: {_shown(key, old)} becomes {_shown(key, new)}")


def _shown(key: str, value: str | None) -> str:
    secret = key.endswith("password") or "jaas" in key
    return "nothing" if value is None else "(secret)" if secret else value


def _reading(plan: Plan) -> Iterator[Row]:
    rows = erp_preflight.estimated_rows(plan.source, list(plan.captured if plan.fresh else plan.lacking))
    if plan.fresh:
        for table, columns in plan.captured.items():
            yield _row("rows", table, f"{_about(rows, table)} are read: {', '.join(columns)}", "nothing is served yet")
    for table, lacks in plan.lacking.items():
        what = f"{_about(rows, table)} are read again: the log's rows lack {', '.join(lacks)}"
        yield _row("rows", table, what, "the old numbers are served until they are complete")


def _about(rows: Mapping[str, int], table: str) -> str:
    return f"about {rows[table]:,} rows" if rows.get(table, -1) >= 0 else "all rows"


def _mapping(settings: Settings, plan: Plan) -> Iterator[Row]:
    name, before = plan.source.name, plan.before
    pending = sources.find_pending(settings.kafka, name)
    if pending is not None:
        yield _row("rows", ", ".join(pending.tables), "are being read again", "by an apply that has not ended")
    if before is None:
        yield _row("source", name, f"is applied with pack {plan.pack.name}")
    elif not before.says_the_same(record_of(plan, before.epoch, before.begun)):
        what = "its mapping is changed" if before.digest != plan.pack.digest else "what is known of it is changed"
        note = "the worker ends and replays the log when it is started again; the old numbers are served until then"
        yield _row("source", name, what, note)
