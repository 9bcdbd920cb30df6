"""A join's key that is an expression becomes a column more of the remembered rows: all else is as with any column."""

from typing import Any

from pipeline.query.expressions import Expressions
from pipeline.query.layout import TablePlan
from pipeline.query.operands import Value


def computed(table: TablePlan, name: str, dialect: str, names: dict[str, Any]) -> Value:
    """The code of a derived column, from the other columns of `row`."""

    def column(_alias: str, other: str) -> Value:
        return Value(f"row[{table.position(other)}]", table.types[other], table.nullable(other))

    derived = table.derived[name]
    return Expressions(derived.text, dialect, column, names).value(derived.expression)


def without_row(table: TablePlan, name: str, dialect: str, names: dict[str, Any]) -> Any:
    """What the ERP computes where a LEFT JOIN finds no row: all columns are NULL then."""

    def column(_alias: str, other: str) -> Value:
        return Value("nothing", table.types[other], nullable=True)

    derived = table.derived[name]
    code = Expressions(derived.text, dialect, column, names).value(derived.expression).code
    return eval(code, names, {"nothing": None})  # noqa: S307 -- our own code, of our own grammar


def derivation(table: TablePlan, dialect: str, names: dict[str, Any]) -> list[str]:
    """`derive_<table>(row)` yields the row with its derived columns; texts are interned as those of other columns."""
    codes = []
    for name in table.derived:
        value = computed(table, name, dialect, names)
        is_text = value.type.kind == "text"
        codes.append(f"None if (k := {value.code}) is None else intern(k)" if is_text else value.code)
    return [f"def derive_{table.id}(row): return (*row, {''.join(f'({code}), ' for code in codes)})"]
