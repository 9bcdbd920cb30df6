"""What `verify` compares of orders."""

from collections.abc import Iterable, Mapping

import msgspec

from pipeline.adapters.served import Documents
from pipeline.applied import Applied
from pipeline.domain.levels import Group, stock_levels
from pipeline.domain.orders import expected_orders
from pipeline.query import Engine

_DERIVED = ("v", "changed", "degraded", "lines", "lines_open", "lines_short", "lines_over", "covered")


def figures(fields: Mapping[str, str]) -> dict[str, str]:
    """An order's fields, but for what is counted from its lines, and each line's by its number."""
    found = {name: value for name, value in fields.items() if name not in _DERIVED}
    try:
        lines = msgspec.json.decode(fields["lines"], type=list[dict[str, str]])
    except msgspec.DecodeError:  # somebody wrote it by hand
        return found | {"lines": fields["lines"]}
    for at, line in enumerate(lines):
        name = f"line {line.get('line')}"
        name += f" ({at})" if f"{name} required" in found else ""
        found |= {f"{name} {n}": value for n, value in line.items() if n not in _DERIVED}
    return found


def expected(applied: Applied, engine: Engine, stock: Iterable[Group], orders: Iterable[Group]) -> Documents:
    """What should be served of orders for the result rows of both queries."""
    levels = stock_levels(applied.prefix, engine.views["stock"], applied.stock["reserved"] or "none")
    return expected_orders(levels, engine.views["orders"], stock, orders)
