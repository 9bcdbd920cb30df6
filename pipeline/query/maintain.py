"""`change_<table>(pk, old, new)`: what one changed row does to all views, to the row store and to the join indexes.

Two kinds of contributions depend on a row: those of the row itself, and those of root rows that join it. The latter
are found by index, taken out before the row is stored and added again after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from pipeline.query.branch import Arm, folded_code
from pipeline.query.layout import TablePlan
from pipeline.query.plan import Branch, Join
from pipeline.query.unit import Unit
from pipeline.query.writer import Writer

Names = dict[tuple[str, tuple[str, ...]], str]


class Generated(Protocol):
    """What else is generated; `indexes` and `uniques` are named by (table id, columns)."""

    tables: Sequence[TablePlan]
    units: list[Unit]
    indexes: Names
    uniques: Names

    def index(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The name of the index of a table's rows by columns that refer to another table."""

    def numbered(self, unit: Unit) -> int:
        """The number of the unit's functions add_, sub_ and shift_."""


@dataclass(frozen=True)
class Concerned:
    """Root rows that join the changed row: the code that finds them, and the functions that count them."""

    root: TablePlan
    walks: tuple[str, ...]
    functions: list[int]


def change(table: TablePlan, generated: Generated, more: Iterable[str]) -> list[str]:
    """The source of a table's change function; `more` lines keep what else is to be kept of its rows."""
    out = Writer()
    out.block(f"def change_{table.id}(pk, old, new):")
    concerned = concerned_by(table, generated)
    for i, found in enumerate(concerned):
        out.line("found = {pk}" if found.root is table else "found = set()")
        out.lines_at(found.walks)
        out.line(f"f{i} = found")
    _each(out, concerned, "sub")
    moves = _moves(table, generated)
    for unit in generated.units:
        plain = tuple(a for a in unit.arms if unit.root is table and not joins_of(a, table))
        if plain:
            _replace(out, unit.of(plain), generated.numbered(unit.of(plain)), moves)
    out.line(f"if new is None: del R_{table.id}[pk]")
    out.line(f"else: R_{table.id}[pk] = new")
    out.lines_at(moves.values())
    out.lines_at(more)
    _each(out, concerned, "add")
    return out.lines


# ---- contributions of the row itself


def _replace(out: Writer, unit: Unit, number: int, moves: dict[tuple[str, ...], str]) -> None:
    """Count the new version instead of the old one. While the fixed columns are the same, so are their indexes."""
    table = unit.root
    fixed = [c for c in table.remembered if f"a{table.position(c)}" in unit.fixed]
    same = "".join(f" and old[{table.position(c)}] == new[{table.position(c)}]" for c in fixed if c not in table.pk)
    out.line(f"if old is not None and new is not None{same}:")
    out.line(f"    shift_{number}(old, new)" if unit.varies else "    pass")
    out.block("else:")
    out.line(f"if old is not None: sub_{number}(old)")
    out.line(f"if new is not None: add_{number}(new)")
    for columns in [c for c in moves if set(c) <= set(fixed)]:
        out.line(moves.pop(columns))
    out.depth -= 1


# ---- contributions of rows that join the row


def joins_of(arm: Arm, table: TablePlan) -> list[Join]:
    """The joins of an arm that look for rows of a table."""
    return [j for j in arm.branch.joins if j.table is table]


def concerned_by(table: TablePlan, generated: Generated) -> list[Concerned]:
    """Arms whose rows are found by the same code are counted together."""
    found: dict[tuple[str, tuple[str, ...]], list[tuple[Unit, Arm]]] = {}
    for unit in generated.units:
        for arm in unit.arms:
            if walks := _walks(arm.branch, table, generated):
                found.setdefault((unit.root.id, walks), []).append((unit, arm))
    return [
        Concerned(pairs[0][0].root, walks, [generated.numbered(u) for u in _merged(pairs)])
        for (_, walks), pairs in found.items()
    ]


def _merged(pairs: list[tuple[Unit, Arm]]) -> list[Unit]:
    units = {u.view: u for u, _ in pairs}
    return [u.of(tuple(a for other, a in pairs if other.view == view)) for view, u in units.items()]


def _each(out: Writer, concerned: list[Concerned], verb: str) -> None:
    for i, found in enumerate(concerned):
        out.block(f"for x in f{i}:")
        out.line(f"row = R_{found.root.id}.get(x)")
        out.block("if row is not None:")
        out.lines_at(f"{verb}_{number}(row)" for number in found.functions)
        out.depth -= 2


def _walks(branch: Branch, table: TablePlan, generated: Generated) -> tuple[str, ...]:
    """Code that adds to `found` the root rows of a branch that a change of a joined row may concern."""
    out = Writer()
    for join in (j for j in branch.joins if j.table is table):
        out.block(f"if old is None or new is None or {differ(table, sorted(_used(branch, join.alias)))}:")
        same_key = set(join.key) <= set(table.pk)
        out.block("for r0 in (new or old,):" if same_key else "for r0 in (old, new):")
        out.block("if r0 is not None:")
        walk(out, branch, join, generated)
        out.depth = 0
    return tuple(out.lines)


def walk(out: Writer, branch: Branch, join: Join, generated: Generated) -> None:
    """From a joined row back to the root rows that refer to it, through the rows in between."""
    by_alias = {j.alias: j for j in branch.joins}
    n = 0
    while True:
        parent = branch.tables[join.parent]
        columns = join.parent_columns
        index = generated.index(parent, tuple(p for _, p in columns))
        key = _key(join.table, tuple(c for c, _ in columns), f"r{n}")
        if join.parent == branch.root:
            out.line(f"found.update({index}.get({key}, ()))")
            return
        n += 1
        out.block(f"for x{n} in {index}.get({key}, ()):")
        out.line(f"r{n} = R_{parent.id}[x{n}]")
        join = by_alias[join.parent]


def _used(branch: Branch, alias: str) -> set[str]:
    """The columns of a joined table that its branch looks at."""
    own = {c for j in branch.joins if j.alias == alias for c in j.key}
    return own | {c.name for e in branch.expressions for c in e.find_all(exp.Column) if c.table == alias}


# ---- indexes


def _moves(table: TablePlan, generated: Generated) -> dict[tuple[str, ...], str]:
    """Columns of the table's indexes -> the line that keeps them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for names, mover in ((generated.indexes, "move"), (generated.uniques, "move_unique")):
        for (owner, columns), name in names.items():
            if owner == table.id:
                keys = [f"None if {row} is None else {_key(table, columns, row)}" for row in ("old", "new")]
                found.setdefault(columns, []).append(f"{mover}({name}, {keys[0]}, {keys[1]}, pk)")
    return {
        columns: f"if old is None or new is None or {differ(table, columns)}: {'; '.join(calls)}"
        for columns, calls in found.items()
    }


def differ(table: TablePlan, columns: Sequence[str]) -> str:
    """Code that tells whether one of the columns is not as it was."""
    return " or ".join(f"old[{table.position(c)}] != new[{table.position(c)}]" for c in columns)


def _key(table: TablePlan, columns: tuple[str, ...], row: str) -> str:
    """The key of a row: bare for one column, else a tuple; None where a part is NULL."""
    parts = [folded_code(f"{row}[{table.position(c)}]", table.types[c]) for c in columns]
    if len(parts) == 1:
        return parts[0]
    nullable = [f"{row}[{table.position(c)}] is None" for c in columns if table.nullable(c)]
    whole = f"({', '.join(parts)})"
    return f"(None if {' or '.join(nullable)} else {whole})" if nullable else whole
