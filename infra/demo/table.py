"""The live table: stock as served, the feed's health above it, alerts below. Pure: board and clock in, picture out."""

import io
import re
from decimal import Decimal
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from infra.demo.board import Board, Row, alert_text
from pipeline.domain.times import iso, milliseconds

_LINES_AROUND = 9  # the panel above, the table's head and rules, the cursor's line


def draw(board: Board, now_ms: float, total_steps: int, height: int = 0) -> RenderableType:
    """The whole picture. `height` = lines there are; the rows changed longest ago give way (0: all are shown)."""
    around = _LINES_AROUND + (len(board.alerts) + 2 if board.alerts else 1)
    room = max(height - around, 3) if height else len(board.rows)
    return Group(_header(board, now_ms, total_steps), _stock(board, room), _alerts(board))


def save_svg(picture: RenderableType, file: Path, width: int = 110) -> None:
    """Write `picture` as an SVG that needs no other file and no network."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture)
    svg = console.export_svg(title="onhand demo", unique_id="onhand")
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def _header(board: Board, now_ms: float, total_steps: int) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    done = len(board.steps)
    step = Text(f"step {done}/{total_steps}  ", "dim") + Text(board.step_says(done - 1), "bold yellow")
    grid.add_row(Text("Tryton → Debezium → Kafka → Faust → Redis", "cyan"), _age(board, now_ms))
    grid.add_row(step, _speed(board))
    return Panel(grid, title="[bold]onhand[/] · stock of the wheel workshop", border_style="cyan", padding=(0, 1))


def _age(board: Board, now_ms: float) -> Text:
    """How long ago the ERP was, as readers see it: the only age that counts."""
    if "as_of" not in board.meta:
        return Text("nothing served yet", "yellow")
    age = max(0.0, (now_ms - milliseconds(board.meta["as_of"])) / 1000)
    state = board.meta.get("state", "?")
    return Text(f"{state} · feed age {age:.1f} s", "green" if age < 10 and state == "live" else "bold red")


def _speed(board: Board) -> Text:
    half, most = board.milliseconds(0.5), board.milliseconds(0.95)
    if half is None or most is None:
        return Text("")
    return Text(f"commit to readable {half:.0f} ms p50 · {most:.0f} ms p95")


def _stock(board: Board, room: int) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in ("item", "warehouse"):
        table.add_column(name, no_wrap=True)
    for name in ("on hand", "reserved", "available", "changed (UTC)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by the step", ratio=1, no_wrap=True, overflow="ellipsis")
    newest = sorted(board.rows.items(), key=lambda entry: entry[1].changed_ms, reverse=True)[:room]
    current = len(board.steps) - 1
    for (item, warehouse), row in sorted(newest):
        highlighted = "on grey23" if row.step == current >= 0 else ""
        table.add_row(item, warehouse, *_figures(row), _clock(row), board.step_says(row.step), style=highlighted)
    return table


def _figures(row: Row) -> list[Text]:
    return [_number(row.fields.get(name)) for name in ("on_hand", "reserved", "available")]


def _number(text: str | None) -> Text:
    """As served; red below zero, dim at zero, empty where the ERP has no such figure."""
    if text is None:
        return Text("")
    value = Decimal(text)
    return Text(text, "bold red" if value < 0 else "dim" if value == 0 else "")


def _clock(row: Row) -> Text:
    return Text(iso(row.changed_ms)[11:-1], "dim")


def _alerts(board: Board) -> RenderableType:
    if not board.alerts:
        return Text(" no open alerts", "green")
    lines = [f"{alert_text(alert)}, since {alert['since'][11:-1]}" for alert in board.alerts]
    return Panel(Text("\n".join(lines), "bold red"), title="open alerts", border_style="red", padding=(0, 1))
