"""Plan -> Python source -> closures: for each view and root table functions that add, subtract or shift a row.

A remembered row's contribution is never stored: the same code that added it takes it out again, run on the old row.
Names in generated code: R_T0 rows of a table, N_T0 its row of NULLs, I0/U0 join indexes, L_0/D_0 a view's groups and
which of them were touched, f0 rows that a change of a joined row concerns; the others stand in `fuse`.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.query import rows, values
from pipeline.query.branch import Arm, BranchCompiler
from pipeline.query.days import Days
from pipeline.query.derived import derivation
from pipeline.query.expressions import Expressions
from pipeline.query.layout import TablePlan
from pipeline.query.maintain import change
from pipeline.query.operands import FOLDS, Value
from pipeline.query.plan import QueryPlan
from pipeline.query.types import Type
from pipeline.query.unit import Unit


class Generator:
    """Generates and runs the code of one source; `names` is the generated module's namespace, `source` its text."""

    def __init__(self, dialect: str, tables: Sequence[TablePlan], today: str, store: rows.Store) -> None:
        self.dialect, self.tables, self.store, self.source = dialect, tables, store, ""
        self.indexes: dict[tuple[str, tuple[str, ...]], str] = {}
        self.uniques: dict[tuple[str, tuple[str, ...]], str] = {}
        self.units: list[Unit] = []
        self._codes: dict[str, str] = {}
        self._functions: dict[tuple[int, tuple[Arm, ...]], int] = {}
        self.names: dict[str, Any] = {
            "TODAY": [today],
            "UPPER": values.upper,
            "LOWER": values.lower,
            "JSON_KEY": values.json_key,
            "intern": sys.intern,
            "set": set,
            "link": rows.link,
            "unlink": rows.unlink,
            "NOBODY": rows.NOBODY,
            "move": store.move,
            "move_unique": store.move_unique,
            "walk": store.walk,
            "CASE": values.Memo(values.without_case),
            "PADDING": values.Memo(values.without_padding),
            "CASE_AND_PADDING": values.Memo(values.without_case_and_padding),
        }
        self.days = Days(self)
        for memo in FOLDS.values():
            spellings = self.names[f"SPELL_{memo}"] = values.Spellings(self.names[memo])
            self.names[f"SHOWN_{memo}"] = spellings.shown
        for table in tables:
            remembered = store.rows(table.table.name, table.remembered)
            self.names |= {f"R_{table.id}": remembered, f"N_{table.id}": (None,) * len(table.remembered)}

    # ---- units

    def add_query(self, number: int, plan: QueryPlan) -> tuple[list[Type], list[Type]]:
        """Compile a query's branches as view `number`; the types of its keys and of its amounts."""
        self.names |= {f"L_{number}": {}, f"D_{number}": []}
        arms = [BranchCompiler(self, b).compile() for b in plan.branches]
        key_types = [self._common(plan, [a.keys[i] for a in arms], key=True) for i in range(len(plan.keys))]
        amount_types = [self._common(plan, [a.amounts[i] for a in arms]) for i in range(len(plan.amounts))]
        arms = [replace(a, keys=self._spelled(a, key_types)) for a in arms]
        scales = tuple(t.scale for t in amount_types)
        self.run(_drain(number, len(scales)))
        for root in self.tables:
            own = tuple(a for a in arms if a.branch.tables[a.branch.root] is root)
            self.units += [Unit(number, root, own, scales)] if own else []
        return key_types, amount_types

    def _spelled(self, arm: Arm, types: list[Type]) -> tuple[Value, ...]:
        """Texts equal for the ERP are one key under the first spelling seen; the query's own words come first.

        `types` are of all arms: a literal is compared by the collation of the columns it stands under. The code stands
        in the leaf: a row that does not count must not leave its spelling behind.
        """
        spelled = []
        for value, words, type_ in zip(arm.keys, arm.words, types, strict=True):
            memo = "" if value.is_constant and value.constant is None else FOLDS.get(type_.fold, "")
            for word in words if memo else ():
                self.names[f"SPELL_{memo}"].add_word(self.names[memo][word], word)
            spelled.append(replace(value, code=f"SHOWN_{memo}[{value.code}]") if memo else value)
        return tuple(spelled)

    def _common(self, plan: QueryPlan, arms: list[Value], *, key: bool = False) -> Type:
        """The type of one output column over all arms."""
        text, node = plan.parsed.text, plan.parsed.tree
        helper = Expressions(text, self.dialect, _no_column, self.names)
        types = [v.type for v in helper.unified(node, arms) if v.type.kind != "null"]
        if not types:
            return Type("null") if key else Type("number", integer=True)
        if key:
            return next((t for t in types if not t.literal), types[0])
        return Type("number", max(t.scale for t in types), any(t.approx for t in types))

    def numbered(self, unit: Unit) -> int:
        """The number of the unit's functions add_, sub_ and shift_."""
        number = self._functions.get((unit.view, unit.arms))
        if number is None:
            number = self._functions[unit.view, unit.arms] = len(self._functions)
            with unit.arms[0].branch.text.within_reach():
                self.run([*unit.contribution(f"add_{number}", "+"), *unit.contribution(f"sub_{number}", "-")])
                self.run(unit.shift(f"shift_{number}"))
        return number

    def run(self, lines: Sequence[str]) -> None:
        """Run generated code, and show it in `source`."""
        text = "\n".join(lines) + "\n"
        self.source += text
        exec(compile(text, "<mapping>", "exec"), self.names)  # noqa: S102 -- code of our own grammar only

    def forget_spellings(self) -> None:
        """Drop the spellings no live group shows, once they are as many as those that were needed last time."""
        for spellings in (self.names[f"SPELL_{memo}"] for memo in FOLDS.values()):
            if spellings.is_due:
                groups = (self.names[name] for name in self.names if name.startswith("L_"))
                spellings.keep({part for keys in groups for key in keys for part in key if isinstance(part, str)})

    # ---- keys and indexes

    def index(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The index of a table's rows by columns that refer to another table."""
        name = self.indexes.setdefault((table.id, columns), f"I{len(self.indexes)}")
        if name not in self.names:
            self.names[name] = self.store.index(f"{table.table.name} {' '.join(columns)}")
        return name

    def unique(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The index of a table's rows by a unique key."""
        name = self.uniques.setdefault((table.id, columns), f"U{len(self.uniques)}")
        if name not in self.names:
            self.names[name] = self.store.unique(f"{table.table.name} {' '.join(columns)}")
        return name

    def name(self, kind: str, code: str) -> str:
        """A name for what `code` yields: equal code, equal name."""
        return self._codes.setdefault(code, f"{kind}{len(self._codes)}")

    def refers(self, table: TablePlan, column: str) -> bool:
        """Whether rows are joined by a column, so that many rows hold the same few values."""
        return any(owner == table.id and column in columns for owner, columns in self.indexes)

    # ---- tables

    def finish(self) -> None:
        """Generate every table's `change(pk, old, new)`, and what a new day needs; call after all queries."""
        for date in (d for unit in self.units for arm in unit.arms for d in arm.dates or ()):
            self.days.keep(date)
        for table in self.tables:
            if table.derived:
                self.run(derivation(table, self.dialect, self.names))
            self.run(change(table, self, self.days.kept(table)))
        for unit in self.units:
            self.days.add(unit)


def _drain(view: int, amounts: int) -> list[str]:
    """`drain_<view>()` hands out what was touched, and forgets the groups that are gone."""
    return [
        f"def drain_{view}():",
        "    drained = []",
        f"    for k, L in D_{view}:",
        f"        L[{amounts + 1}] = False",
        f"        drained.append((k, L[0], ({''.join(f'L[{i}], ' for i in range(1, amounts + 1))})))",
        f"        if not L[0]: del L_{view}[k]",
        f"    D_{view}.clear()",
        "    return drained",
    ]


def _no_column(alias: str, name: str) -> Value:
    raise LookupError(f"{alias}.{name}")
