"""A row as far as it can be read, where it cannot as a whole; and a remembered row as the connector would send it."""

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from pipeline.domain.decimals import decimal_text
from pipeline.query.layout import TablePlan
from pipeline.query.types import Type
from pipeline.query.values import FLOAT_SCALE, UNAVAILABLE, approximate

Row = tuple[Any, ...]
Salvage = Callable[[Mapping[str, Any], Row | None], tuple[Row, frozenset[str]]]
_NEUTRAL = {"number": 0, "boolean": False, "date": "1970-01-01", "timestamp": "1970-01-01T00:00:00", "json": "{}"}


def salvager(plan: TablePlan, names: dict[str, Any], codes: dict[str, str], read_as: Mapping[str, str]) -> Salvage:
    """`salvage(sent, held)`: the row of a connector's object, and the names of its columns that cannot be read.

    Those are as in `held`, the row remembered until now, else neutral. `codes` read a column of `r`, whose attributes
    `read_as` names.
    """

    def read(column: str, sent: Mapping[str, Any]) -> Any:
        value = sent[plan.column(column).name]
        if value is None and not plan.nullable(column):
            raise ValueError
        if value is not None:
            msgspec.convert(value, plan.types[column].wire)
        return eval(codes[column], names, {"r": SimpleNamespace(**{read_as[column]: value})})  # noqa: S307 -- the generated code once more

    def salvage(sent: Mapping[str, Any], held: Row | None) -> tuple[Row, frozenset[str]]:
        row, unread = [], set()
        for at, column in enumerate(plan.needed):
            try:
                value = read(column, sent)
            except Exception:  # noqa: BLE001 -- whatever a wrong type raises
                value = UNAVAILABLE
                unread.add(column)
            if value == UNAVAILABLE:
                if held is None:
                    unread.add(column)
                value = held[at] if held is not None else _NEUTRAL.get(plan.types[column].kind, "")
            row.append(value)
        whole = tuple(row)
        return (names["derive"](whole) if plan.derived else whole), frozenset(unread)

    return salvage


def as_sent(plan: TablePlan, row: Row) -> dict[str, Any]:
    """A remembered row as the connector's object: read again, it is the same row."""
    return {plan.column(c).name: _sent(plan.types[c], row[i]) for i, c in enumerate(plan.needed)}


def _sent(type_: Type, value: Any) -> Any:
    if value is None or type_.kind != "number" or type_.integer or type_.flag:
        return value
    return _double(value) if type_.approx else decimal_text(value, type_.scale)


def _double(units: int) -> float:
    """The double that is so many units: not always the nearest one, as doubles are sparse where they are large."""
    nearest = units / 10**FLOAT_SCALE
    around = (nearest, math.nextafter(nearest, math.inf), math.nextafter(nearest, -math.inf))
    return next((x for x in around if approximate(x) == units), nearest)
