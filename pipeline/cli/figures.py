"""What `verify` compares of a key: its figures, as numbers where they are some."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from pipeline.adapters.served import Documents
from pipeline.applied import Applied
from pipeline.domain import orders as o
from pipeline.domain.levels import Group, stock_levels
from pipeline.query import Engine

_NUMBERS = ("on_hand", "usable", "reserved", "available")
_DERIVED = ("v", "changed", "degraded", "lines", "lines_open", "lines_short", "lines_over", "covered")


def numbers(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that verify compares."""
    if "lines" in fields:
        return _order(fields)
    return {n: x for n, x in fields.items() if n in _NUMBERS or n.startswith(("on_hand:", "w:"))}


def equal(expected: Mapping[str, str], served: Mapping[str, str], tolerance: Decimal) -> bool:
    """The same fields with the same numbers; 1.50 is 1.5."""
    return expected.keys() == served.keys() and all(_near(x, served[n], tolerance) for n, x in expected.items())


def _near(a: str, b: str, tolerance: Decimal) -> bool:
    try:
        return a == b or abs(Decimal(a) - Decimal(b)) <= tolerance
    except ArithmeticError:  # somebody wrote what is no number
        return False


def _order(fields: Mapping[str, str]) -> dict[str, str]:
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


def expected_orders(applied: Applied, engine: Engine, stock: Iterable[Group], orders: Iterable[Group]) -> Documents:
    """What should be served of orders for the result rows of both queries."""
    levels = stock_levels(applied.prefix, engine.views["stock"], applied.stock["reserved"] or "none")
    return o.expected_orders(levels, engine.views["orders"], stock, orders)
