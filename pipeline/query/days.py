"""The turn of the day: the rows that count otherwise from then on are found by their dates, not by looking at all rows.

Rows whose dates lie ahead, few in most tables, are kept by date; the others cost a comparison when they change. All
rows are looked at where that is not enough: at the first turn, when the day goes back, at a turn into the second year
after the last such look, and for arms that use today otherwise than beside dates of one row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.query.branch import Arm
from pipeline.query.dates import Dated
from pipeline.query.layout import TablePlan
from pipeline.query.maintain import Generated, differ, walk
from pipeline.query.unit import Unit
from pipeline.query.writer import Writer

Row = tuple[Any, ...]
_SHORT = "YYYYMMDD"


class Ahead(dict[str, Any]):
    """`{date: pks}` of the rows with low <= date < high: far dates often mean "never", and would be kept for ever."""

    __slots__ = ("_digits", "high", "low")

    def __init__(self, digits: int) -> None:
        super().__init__()
        self.low = self.high = ""
        self._digits = digits

    def _spelled(self, day: str) -> str:
        return day if len(day) == self._digits else day.replace("-", "")

    def covers(self, low: str, high: str) -> bool:
        """Whether all rows with dates from day `low` to `high` are kept."""
        return self.low <= self._spelled(low) and self._spelled(high) < self.high

    def between(self, low: str, high: str) -> Iterator[Any]:
        """The pks of these rows."""
        low, high = self._spelled(low), self._spelled(high)
        return (pk for date, pks in self.items() if low <= date <= high for pk in pks)

    def begin(self, today: str) -> None:
        """Keep rows from today to the end of next year; none is in yet."""
        self.clear()
        self.low, self.high = self._spelled(today), str(int(today[:4]) + 2)

    def forget_before(self, today: str) -> None:
        """These days are over."""
        self.low = max(self.low, self._spelled(today))
        for date in [d for d in self if d < self.low]:
            del self[date]


@dataclass(frozen=True)
class _Turning:
    """Arms over `root` that the functions of one number count: `ways` lead from rows kept by a date to root pks.

    `moved(rows, low, high)` are those of all rows that may turn. It is the only way if there are no `ways`.
    """

    number: int
    root: TablePlan
    ways: Sequence[tuple[Ahead, Callable[[Iterable[Any]], set[Any]]]]
    moved: Callable[[Iterable[Row], str, str], Iterator[Row]]

    def rows(self, remembered: Any, low: str, high: str) -> Iterator[Row]:
        """The root rows that may count otherwise when today goes from one of the days to the other."""
        if not self.ways or not all(ahead.covers(low, high) for ahead, _ in self.ways):
            return self.moved(remembered.values(), low, high)
        pks = set[Any]().union(*(find(ahead.between(low, high)) for ahead, find in self.ways))
        return (remembered[pk] for pk in pks)


class Host(Generated, Protocol):
    """What else is generated, and its namespace."""

    dialect: str
    names: dict[str, Any]

    def run(self, lines: Sequence[str]) -> None:
        """Run generated code in the namespace."""


class Days:
    """What a source needs when the day turns; `keep` all dates before `kept` is asked for, and `add` all units after.

    Names in generated code: A0 rows kept by a date, fill_A0 puts them there, found_0 finds what joins them.
    """

    def __init__(self, host: Host) -> None:
        self._host, self._names = host, host.names
        self._dates: dict[tuple[str, str, int], tuple[str, Dated]] = {}
        self._finders: dict[tuple[str, ...], str] = {}
        self._turnings: list[_Turning] = []

    # ---- generated code

    def keep(self, date: Dated) -> str:
        """Keep rows by a date; the name of what holds them."""
        key = (date.table.id, date.code("row", self._host.dialect, self._names), date.digits)
        if key not in self._dates:
            name = f"A{len(self._dates)}"
            self._dates[key], self._names[name] = (name, date), Ahead(date.digits)
            pk = ", ".join(f"row[{date.table.position(c)}]" for c in date.table.pk)
            put = f"link({name}, d[:{date.digits}], {pk if len(date.table.pk) == 1 else f'({pk})'})"
            loop = "    for row in rows:"
            self._host.run([f"def fill_{name}(rows):", loop, f"        if {self._is_kept(name, date, 'row')}: {put}"])
        return self._dates[key][0]

    def _is_kept(self, name: str, date: Dated, row: str) -> str:
        code = date.code(row, self._host.dialect, self._names)
        return f"(d := {code}) is not None and {name}.low <= d < {name}.high"

    def kept(self, table: TablePlan) -> Iterator[str]:
        """The lines of a table's change function that keep its rows by their dates."""
        for name, date in self._dates.values():
            if date.table is table:
                yield f"if old is None or new is None or {differ(table, date.columns)}:"
                for row, verb in (("old", "unlink"), ("new", "link")):
                    test = f"{row} is not None and {self._is_kept(name, date, row)}"
                    yield f"    if {test}: {verb}({name}, d[:{date.digits}], pk)"

    def add(self, unit: Unit) -> None:
        """Arms that compare dates of rows with today are counted apart from those that use it otherwise."""
        for arms in ([a for a in unit.arms if a.dates], [a for a in unit.arms if a.dates is None]):
            if arms:
                number = self._host.numbered(unit.of(tuple(arms)))
                self._host.run(self._moved(number, arms))
                ways = dict.fromkeys((self.keep(d), self._finder(a, d)) for a in arms for d in a.dates or ())
                found = [(self._names[ahead], self._names[finder]) for ahead, finder in ways]
                self._turnings.append(_Turning(number, unit.root, found, self._names[f"moved_{number}"]))

    def _moved(self, number: int, arms: Sequence[Arm]) -> list[str]:
        tests = dict.fromkeys(self._passes(a, d) for a in arms for d in a.dates or (None,))
        short = any(d.digits == len(_SHORT) for a in arms for d in a.dates or ())
        return [
            f"def moved_{number}(rows, lo, hi):",
            *(["    lo8, hi8 = lo.replace('-', ''), hi.replace('-', '')"] if short else []),
            f"    return (row for row in rows if {' or '.join(tests)})",
        ]

    def _passes(self, arm: Arm, date: Dated | None) -> str:
        if date is None or date.alias != arm.branch.root:
            return "True"
        low, high = ("lo8", "hi8") if date.digits == len(_SHORT) else ("lo", "hi")
        code = date.code("row", self._host.dialect, self._names)
        return f"((d := {code}) is not None and {low} <= d[:{date.digits}] <= {high})"

    def _finder(self, arm: Arm, date: Dated) -> str:
        """The name of what finds root pks from pks of the dated table."""
        if date.alias == arm.branch.root:
            return "set"
        out = Writer()
        out.line("found = set()")
        out.block("for x in pks:")
        out.line(f"r0 = R_{date.table.id}[x]")
        walk(out, arm.branch, next(j for j in arm.branch.joins if j.alias == date.alias), self._host)
        out.depth = 0
        out.line("return found")
        name = self._finders.setdefault(tuple(out.lines), f"found_{len(self._finders)}")
        if name not in self._names:
            self._host.run([f"def {name}(pks):", *(f"    {line}" for line in out.lines)])
        return name

    # ---- the turn

    def turn(self, before: str, today: str) -> None:
        """CURRENT_DATE is `today` instead of `before`."""
        low, high, now = min(before, today), max(before, today), self._names["TODAY"]
        for turning in self._turnings:
            sub, add = self._names[f"sub_{turning.number}"], self._names[f"add_{turning.number}"]
            # Row by row, the day going back and forth: a list of all rows may not fit into memory.
            for row in turning.rows(self._names[f"R_{turning.root.id}"], low, high):
                now[0] = before
                sub(row)
                now[0] = today
                add(row)
        now[0] = today
        for name, date in self._dates.values():
            self._go_on(name, date.table, low, high, today)

    def _go_on(self, name: str, table: TablePlan, low: str, high: str, today: str) -> None:
        """Keep rows from today on, after a turn between the days `low` and `high`."""
        ahead = self._names[name]
        if ahead.covers(low, high):
            ahead.forget_before(today)
        else:
            ahead.begin(today)
            self._names[f"fill_{name}"](self._names[f"R_{table.id}"].values())
