"""Which dates of rows a branch compares with today: what it yields for a row turns when today passes one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.query.derived import over_no_row, over_row
from pipeline.query.layout import Derived, TablePlan
from pipeline.query.operands import FOLDS
from pipeline.query.plan import Branch

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


@dataclass(frozen=True, eq=False)
class Dated:
    """`date` of the row of `alias`, beside today as `YYYY-MM-DD`, or as `YYYYMMDD` where `digits` is 8.

    A date is a text that begins with as many characters, or any text: then it is before or after all days.
    """

    alias: str
    table: TablePlan
    date: Derived
    digits: int

    def code(self, row: str, dialect: str, names: dict[str, Any]) -> str:
        """What '=' compares of it; may be None."""
        value = over_row(self.table, self.date, dialect, names, row)
        return f"{FOLDS[value.type.fold]}[{value.code}]" if value.type.fold else value.code

    @property
    def columns(self) -> list[str]:
        """What it is computed from."""
        return sorted({c.name for c in self.date.expression.find_all(exp.Column)})


def dates_of(branch: Branch, dialect: str, names: dict[str, Any]) -> tuple[Dated, ...] | None:
    """The dates that today is compared with; None where today is used in another way: any row may turn any day."""
    outer = {j.alias for j in branch.joins if j.left}
    found = []
    for digits, other in _others(branch):
        aliases = {c.table for c in other.find_all(exp.Column)} if other is not None else set()
        if other is None or len(aliases) != 1 or other.find(exp.CurrentDate):
            return None
        alias = aliases.pop()
        dated = Dated(alias, branch.tables[alias], Derived.of(branch.text, other), digits)
        if alias in outer and over_no_row(dated.table, dated.date, dialect, names) is not None:
            return None
        found.append(dated)
    return tuple(found)


def _others(branch: Branch) -> Iterator[tuple[int, exp.Expr | None]]:
    """For each today of a branch the digits of its text, and what it is compared with; None: it is not compared."""
    for today in (today for e in branch.expressions for today in e.find_all(exp.CurrentDate)):
        side: exp.Expr = today
        while isinstance(side.parent, exp.Paren | exp.DateToDi | exp.DateToDateStr):
            side = side.parent
        digits = len("YYYYMMDD") if today.find_ancestor(exp.DateToDi) else len("YYYY-MM-DD")
        for other in _compared_with(side):
            yield digits, other


def _compared_with(side: exp.Expr) -> list[exp.Expr | None]:
    test = side.parent
    if isinstance(test, _COMPARISONS):
        return [test.expression if test.this is side else test.this]
    if isinstance(test, exp.Between):
        return [test.args["low"], test.args["high"]] if test.this is side else [test.this]
    return [None]
