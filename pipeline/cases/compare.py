"""A step's changes against what it expects, and the words for what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.cases.answer import Ident, Row, Rows, finds_row
from pipeline.cases.file import Expected, Step


def differences(step: Step, before: Mapping[str, Rows], after: Mapping[str, Rows]) -> list[str]:
    """One line for every row that should have changed otherwise; empty when exactly the expected rows did."""
    return [
        said for kind in after for said in _Comparison(kind, before[kind], after[kind]).says(step.expect.get(kind, ()))
    ]


@dataclass
class _Comparison:
    """One query's rows before and after a step."""

    kind: str
    before: Rows
    after: Rows

    def __post_init__(self) -> None:
        both = self.before.keys() | self.after.keys()
        self.changed = {i for i in both if self.before.get(i) != self.after.get(i)}
        self.met: set[Ident] = set()

    def says(self, expected: tuple[Expected, ...]) -> Iterator[str]:
        for one in expected:
            for said in self._one(one):
                yield f"{self.kind}: {_named(self._finders(one.columns))}: {said}   ({one.where})"
        for ident in sorted(self.changed - self.met, key=str):
            yield f"{self.kind}: {self._change(ident)}, and no expect names it"

    def _one(self, expected: Expected) -> Iterator[str]:
        found = self._found(expected)
        if len(found) == 1:
            self.met |= set(found)
            yield from self._wrong(expected, found[0])
        elif found:
            shown = "; ".join(_named(self._shown(self._row(i))) for i in found[:3])
            yield f"{len(found)} rows are called so, name more columns: {shown}"
        else:
            yield "expected a row to be gone, and none is" if expected.gone else "there is no such row"

    def _found(self, expected: Expected) -> list[Ident]:
        """The rows that the expected identity columns name; of several those that changed."""
        named = self._finders(expected.columns)
        rows = {i: r for i, r in self.before.items() if i not in self.after} if expected.gone else self.after
        found = [i for i, row in rows.items() if all(_same(v, row[n]) for n, v in named.items())]
        return [i for i in found if i in self.changed] or found

    def _wrong(self, expected: Expected, ident: Ident) -> Iterator[str]:
        if expected.gone:
            return
        row = self.after[ident]
        differ = {n: v for n, v in expected.columns.items() if not _same(v, row[n])}
        if differ:
            yield ", ".join(f"{n} expected {_text(v)}, came {_text(row[n])}" for n, v in differ.items())
        elif ident not in self.changed:
            yield f"is so already and did not change: {_named(self._figures(row))}"

    def _change(self, ident: Ident) -> str:
        row = self._row(ident)
        name, figures = _named(self._shown(row)), _named(self._figures(row))
        if ident not in self.after:
            return f"{name} is gone (it was {figures})"
        if ident not in self.before:
            return f"{name} is new with {figures}"
        return f"{name} changed to {figures} (it was {_named(self._figures(self.before[ident]))})"

    def _row(self, ident: Ident) -> Row:
        return self.after[ident] if ident in self.after else self.before[ident]

    def _finders(self, columns: Row) -> Row:
        return {n: v for n, v in columns.items() if finds_row(self.kind, n)}

    def _figures(self, row: Row) -> Row:
        return {n: v for n, v in row.items() if not finds_row(self.kind, n) and v is not None}

    def _shown(self, row: Row) -> Row:
        """What names the row, ids left out where there is a code."""
        named = self._finders(row).items()
        return {n: v for n, v in named if v is not None and not (n.endswith("_id") and n.removesuffix("_id") in row)}


def _named(columns: Row) -> str:
    return ", ".join(f"{n} {_text(v)}" for n, v in columns.items()) or "a row"


def _text(value: Any) -> str:
    """A value as cases.yaml has it."""
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, date):
        return value.isoformat()
    return "null" if value is None else str(int(value) if isinstance(value, bool) else value)


def _same(expected: Any, came: Any) -> bool:
    if isinstance(came, Decimal):
        try:
            return expected is not None and Decimal(str(expected)) == came
        except InvalidOperation:
            return False
    if expected is None or came is None:
        return expected in (None, "") and came is None
    return _text(expected) == _text(came).rstrip()
