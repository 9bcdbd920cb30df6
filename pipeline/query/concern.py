"""Which groups of a view a row concerns, as it is remembered or as it would be. Nothing is changed by asking.

The generated code that adds a row's contribution is run on groups that are thrown away, so what it says is what the row
would do. Asked for rows in quarantine only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.query.generate import Generator
from pipeline.query.layout import TablePlan
from pipeline.query.maintain import concerned_by, joins_of
from pipeline.query.operands import FOLDS
from pipeline.query.plan import Branch

Key = tuple[Any, ...]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class _Dependants:
    """Rows of `root` that join a row: `find(old, new)` gives their pks, `functions` count them."""

    root: TablePlan
    find: Callable[[Row | None, Row | None], set[Any]]
    functions: list[int]


class Concern:
    """One table's rows and the groups of view number `view`.

    `deciding`: the columns that say which groups a row concerns; the others are amounts only.
    `watched`: the tables whose changes may move a row's part in the groups. `is_read`: the view reads the table at all.
    """

    def __init__(self, table: TablePlan, generator: Generator, view: int) -> None:
        self._table, self._names, self._view = table, generator.names, view
        units = [u for u in generator.units if u.view == view]
        plain = [(u, tuple(a for a in u.arms if not joins_of(a, table))) for u in units if u.root is table]
        self._own = [generator.numbered(u.of(arms)) for u, arms in plain if arms]
        self._dependants = [
            _Dependants(c.root, self._finder(c.walks), c.functions) for c in concerned_by(table, generator)
        ]
        branches = [a.branch for u in units for a in u.arms if table in a.branch.tables.values()]
        self.deciding = frozenset(table.pk).union(*(_deciding(b, table) for b in branches))
        self.is_read = bool(branches)
        self.watched = frozenset(name for b in branches for name in _watched(b, table))

    def _finder(self, walks: tuple[str, ...]) -> Callable[[Row | None, Row | None], set[Any]]:
        lines = ["def find(old, new):", "    found = set()", *(f"    {line}" for line in walks), "    return found"]
        exec(compile("\n".join(lines), "<concern>", "exec"), self._names)  # noqa: S102 -- code of our own grammar only
        found: Callable[[Row | None, Row | None], set[Any]] = self._names.pop("find")
        return found

    def groups(self, pk: Any, old: Row | None, new: Row | None, most: int) -> tuple[set[Key], int]:
        """The keys of the groups that a row concerns as `old` and as `new`, and how many rows were looked at.

        No keys where these are more than `most`.
        """
        found = [(d, d.find(old, new) | ({pk} if d.root is self._table else set())) for d in self._dependants]
        rows = 1 + sum(len(pks) for _, pks in found)
        if rows > most:
            return set(), rows
        keys: set[Key] = set()
        for version in (old, new):
            if version is not None:
                with self._aside(pk, version) as counted:
                    self._count(version, found)
                    keys.update(counted)
        return keys, rows

    def _count(self, version: Row, found: list[tuple[_Dependants, set[Any]]]) -> None:
        for number in self._own:
            self._names[f"add_{number}"](version)
        for dependants, pks in found:
            rows = self._names[f"R_{dependants.root.id}"]
            for row in filter(None, map(rows.get, pks)):
                for number in dependants.functions:
                    self._names[f"add_{number}"](row)

    @contextmanager
    def _aside(self, pk: Any, row: Row) -> Iterator[dict[Key, Any]]:
        """Groups of their own, `row` at its place, and spellings that are not remembered."""
        rows = f"R_{self._table.id}"
        aside: dict[str, Any] = {rows: _Instead(self._names[rows], pk, row)}
        aside |= {name: {} for name in self._names if name.startswith("L_")}
        aside |= {name: [] for name in self._names if name.startswith("D_")}
        aside |= {f"SHOWN_{memo}": _Shown(self._names[f"SPELL_{memo}"], self._names[memo]) for memo in FOLDS.values()}
        held = {name: self._names[name] for name in aside}
        self._names.update(aside)
        try:
            yield aside[f"L_{self._view}"]
        finally:
            self._names.update(held)


class _Instead:
    """A table's rows with one of them as it would be."""

    def __init__(self, rows: Any, pk: Any, row: Row) -> None:
        self._rows, self._pk, self._row = rows, pk, row

    def get(self, pk: Any, default: Any = None) -> Any:
        return self._row if pk == self._pk else self._rows.get(pk, default)

    def __getitem__(self, pk: Any) -> Any:
        return self._row if pk == self._pk else self._rows[pk]


class _Shown:
    """The spelling shown for a text, without remembering one that is new."""

    def __init__(self, spellings: dict[str, str], fold: Any) -> None:
        self._spellings, self._fold = spellings, fold

    def __getitem__(self, text: str | None) -> str | None:
        return None if text is None else self._spellings.get(self._fold[text], text)


def _deciding(branch: Branch, table: TablePlan) -> set[str]:
    joins = branch.joins
    expressions = [*branch.keys, *branch.conditions, *(e for j in joins for e in j.rest)]
    expressions += [e for j in joins for _, e in j.pairs]
    aliases = {alias for alias, t in branch.tables.items() if t is table}
    names = {c.name for e in expressions for c in e.find_all(exp.Column) if c.table in aliases}
    names |= {c for j in joins if j.table is table for c in j.key}
    derived = [table.derived[n].expression for n in names if n in table.derived]
    return names | {c.name for e in derived for c in e.find_all(exp.Column)}


def _watched(branch: Branch, table: TablePlan) -> set[str]:
    joined = any(j.table is table for j in branch.joins)
    return {t.table.name for t in branch.tables.values() if joined or t is not table}
