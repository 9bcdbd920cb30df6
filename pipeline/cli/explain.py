"""`onhand explain`: from a served number to the rows of the ERP that make it."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import msgspec
import typer

from pipeline.adapters import kafka, sources
from pipeline.cli.behind import Place, Row, Stamp, Sums, document_numbers, read_rows, stamps
from pipeline.cli.common import Output, OutputOption, emit, load_source, reader, say, seconds
from pipeline.cli.comparison import PAUSE_S, STANDS, Comparison
from pipeline.cli.figures import equal, numbers
from pipeline.cli.scope import item_scope
from pipeline.domain import names
from pipeline.domain.errors import DiffersError, NotReadyError, UsageError
from pipeline.domain.times import iso
from pipeline.query.keyed import Items

SHOWN = 100


def explain(
    ctx: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's code.")],
    warehouse: Annotated[str, typer.Argument(metavar="WAREHOUSE", help="A warehouse's code.")],
    *,
    source: Annotated[
        str | None,
        typer.Option(help="A source of the settings; needed only where there are several.", show_default=False),
    ] = None,
    whole_log: Annotated[
        bool, typer.Option("--whole-log", help="Read all of the log for when rows changed, not only its end.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many rows a table shows; the others are added up.", min=1)] = SHOWN,
    timeout: Annotated[
        str, typer.Option(help="How long to wait for the feed and for the level to stand still.")
    ] = "5s",
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the ERP's rows behind a level, and that they add up to it. Leaves with 10 when they do not.

    Examples: onhand explain BOLT-M8 MAIN · onhand explain BOLT-M8 MAIN -o json
    · onhand explain BOLT-M8 MAIN --whole-log
    """
    patience = seconds("--timeout", timeout)
    settings, chosen = load_source(ctx, source)
    served = reader(settings, chosen)
    applied = sources.load_applied(settings.kafka, chosen.name)
    log_end = partial(kafka.end_offset, settings.kafka, applied.topics["log"])
    comparison = Comparison(chosen, applied, served, log_end, say)
    found = find(comparison, item, warehouse, patience)
    told = found.rows if output is Output.JSON else found.rows[:limit]
    when = stamps(settings.kafka, comparison, found.rows, whole=whole_log)
    told = sorted(told, key=lambda row: when[row.place].time_ms if row.place in when else 0, reverse=True)
    lines = _lines(found, told, document_numbers(comparison, told), when)
    _tell(found, lines, output)
    if unknown := sum(row.place not in when for row in told):
        say(f"when {unknown} of the rows were last changed is further back in the log: --whole-log finds it")
    if not found.equal:
        raise DiffersError(
            f"{found.title}: {found.differs}", f"onhand verify {chosen.name} --item {item} names the layer"
        )


@dataclass(frozen=True)
class Found:
    """A level as served, and the rows that should make it; `rows` has the newest keys first."""

    key: str
    title: str
    served: Mapping[str, str]
    summed: Mapping[str, str]
    rows: list[Row]
    sums: Sums
    equal: bool
    position: str
    as_of: str

    @property
    def differs(self) -> str:
        """The numbers of both sides."""
        return f"the ERP's rows make {_said(self.summed) or 'nothing'}, served is {_said(self.served) or 'nothing'}"


def find(comparison: Comparison, item: str, warehouse: str, patience: float) -> Found:
    """The level and its rows of one moment at which it stood still; a difference has stood for three rounds."""
    items, total, key = _keys(comparison, item, warehouse)
    title, differed = f"{item} in {warehouse}", 0
    comparison.begin(patience)
    while True:
        rows, now = comparison.round(
            partial(read_rows, comparison, items, thorough=differed > 0), partial(list, (total, key))
        )
        if now.moved(key):
            if comparison.late:
                raise NotReadyError(f"{title} kept changing", "type it again, or with a longer --timeout")
            continue
        sums = Sums(comparison, rows, now.documents)
        summed, served = numbers(sums.numbers(key)), now.numbers(key)
        if not summed and not served:
            raise _nothing(sums, now.numbers(total), item, warehouse)
        same = equal(summed, served, comparison.tolerance)
        differed += not same
        if same or differed == STANDS:
            mine = sorted(sums.rows(key), key=lambda row: (row.table, row.pk), reverse=True)
            as_of = comparison.reader.meta().get("as_of", "")
            return Found(key, title, served, summed, mine, sums, same, comparison.position, as_of)
        time.sleep(PAUSE_S)


def _keys(comparison: Comparison, item: str, warehouse: str) -> tuple[Items, str, str]:
    """The item as the ERP is asked for it, and the served keys of it and of the level, by what was typed."""
    scope, prefix = item_scope(comparison.reader, item), comparison.applied.prefix
    shown = scope.shown or names.encode(item)
    total = names.item_key(prefix, shown)
    by_id = names.NONE in warehouse and f"w:{warehouse}" in comparison.reader.read([total])[total]
    key = names.level_key(prefix, shown, warehouse if by_id else names.encode(warehouse))
    return scope.items or Items(), total, key


def _nothing(sums: Sums, total: Mapping[str, str], item: str, warehouse: str) -> UsageError:
    known = {names.split_code(n[2:])[0] or n[2:] for n in total if n.startswith("w:")}
    if not known and not sums.levels.levels:
        return UsageError(f"neither the ERP nor Redis knows item {item!r}", "onhand get --all shows every item's code")
    fix = f"it has stock in {', '.join(sorted(known))}" if known else f"onhand get {item} shows what is served of it"
    return UsageError(f"neither the ERP nor Redis has {item!r} in warehouse {warehouse!r}", fix)


def _lines(
    found: Found, told: list[Row], documents: Mapping[Place, str], when: Mapping[Place, Stamp]
) -> list[dict[str, Any]]:
    lines = [_line(found.sums, row, documents, when.get(row.place)) for row in told]
    shown = {id(row) for row in told}
    if rest := [row for row in found.rows if id(row) not in shown]:
        lines.append({"table": "", "key": f"and {len(rest)} rows more"} | found.sums.amounts(rest))
    return lines


def _line(sums: Sums, row: Row, documents: Mapping[Place, str], stamp: Stamp | None) -> dict[str, Any]:
    line = {"table": row.table, "key": row.key}
    line |= {"document": documents[row.place]} if row.place in documents else {}
    line |= sums.detail(row) | sums.amounts([row])
    if stamp is not None:
        line |= {"position": str(stamp.position or ""), "committed": iso(stamp.time_ms)}
    return line


def _tell(found: Found, lines: list[dict[str, Any]], output: Output) -> None:
    if output is Output.JSON:
        whole = {
            "key": found.key, "position": found.position, "as_of": found.as_of, "equal": found.equal,
            "served": found.served, "sum": found.summed, "rows": lines,
        }  # fmt: skip
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
        sys.stdout.flush()
        return
    emit(lines, output)
    if found.equal:
        rows = f"{len(found.rows)} rows" if len(found.rows) != 1 else "1 row"
        print(f"explain: {found.title}: {_said(found.served)} = the sum of {rows} at {found.position}")  # noqa: T201 - data


def _said(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items())
