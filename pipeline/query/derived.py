"""Expressions over one row of a table.

A join's key that is one becomes a column more of the remembered rows, `derived`: all else is as with any column.
"""

from typing import Any

from pipeline.query.expressions import Expressions
from pipeline.query.layout import Derived, TablePlan
from pipeline.query.operands import Value


def over_row(table: TablePlan, derived: Derived, dialect: str, names: dict[str, Any], row: str = "row") -> Value:
    """The code of an expression over a remembered row that is called `row`."""

    def column(_alias: str, name: str) -> Value:
        return Value(f"{row}[{table.position(name)}]", table.types[name], table.nullable(name))

    return Expressions(derived.text, dialect, column, names).value(derived.expression)


def over_no_row(table: TablePlan, derived: Derived, dialect: str, names: dict[str, Any]) -> Any:
    """What the ERP computes where a LEFT JOIN finds no row: all columns are NULL then."""

    def column(_alias: str, name: str) -> Value:
        return Value("nothing", table.types[name], nullable=True)

    code = Expressions(derived.text, dialect, column, names).value(derived.expression).code
    return eval(code, names, {"nothing": None})  # noqa: S307 -- our own code, of our own grammar


def derivation(table: TablePlan, dialect: str, names: dict[str, Any]) -> list[str]:
    """`derive_<table>(row)` yields the row with its derived columns; texts are interned as those of other columns."""
    codes = []
    for derived in table.derived.values():
        value = over_row(table, derived, dialect, names)
        is_text = value.type.kind == "text"
        codes.append(f"None if (k := {value.code}) is None else intern(k)" if is_text else value.code)
    return [f"def derive_{table.id}(row): return (*row, {''.join(f'({code}), ' for code in codes)})"]
