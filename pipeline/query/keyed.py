"""The same query for some items only: one plain SELECT a branch, so that the ERP finds the rows by its indexes.

A WITH query that is named twice is computed whole before anything is filtered; a branch has none.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.domain.catalog import Catalog
from pipeline.query.keyed_sql import Sql, text_of
from pipeline.query.parse import Params, parse_query
from pipeline.query.place import MappingText
from pipeline.query.plan import Branch, Join, Planner

Group = tuple[tuple[Any, ...], int, tuple[int, ...]]
SLOTS = 10_000


@dataclass(frozen=True)
class Items:
    """Some items: by code, by the ERP's id where they have no code, or those with a code in `slots` (half-open)."""

    codes: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    slots: tuple[int, int] | None = None

    def __contains__(self, shown: tuple[str, str]) -> bool:
        """Whether an item of (code, id) is meant, the id '' where the code says it all."""
        code, ident = shown
        if self.slots:
            return bool(code) and self.slots[0] <= slot(code) < self.slots[1]
        return code in self.codes if code else ident in self.ids


def slot(code: str) -> int:
    """Where an item falls among SLOTS by its code: the same here and in SQL."""
    return int(hashlib.md5(code.encode(), usedforsecurity=False).hexdigest()[:8], 16) % SLOTS


@dataclass(frozen=True)
class KeyedBranch:
    """One branch of a query; `table` and `key` say which rows it begins with, as the catalog names them."""

    branch: Branch
    sql: Sql
    names: tuple[str, ...]
    table: str
    key: tuple[str, ...]

    def groups(self, items: Items, *, thorough: bool = False) -> str:
        """Keys, COUNT(*), SUM of each amount: what `View.from_erp` reads, of this branch's rows."""
        keys = [f"k{i}" for i in range(len(self.branch.keys))]
        sums = [f"SUM(a{i})" for i in range(len(self.branch.amounts))]
        places = ", ".join(str(i + 1) for i in range(len(keys)))
        return f"SELECT {', '.join([*keys, 'COUNT(*)', *sums])} FROM ({self._select(items, (), thorough)}) q GROUP BY {places}"  # noqa: E501, S608 - the pack author's own SQL

    def rows(self, items: Items, *, thorough: bool = False) -> str:
        """The first table's primary key, then what `View.from_erp` reads, of every single row."""
        pk = [exp.column(c, table=self.branch.root) for c in self.branch.tables[self.branch.root].pk]
        return self._select(items, pk, thorough)

    def of_rows(self, column: str, keys: Collection[tuple[object, ...]]) -> str:
        """The first table's primary key and one key column of the query, of the rows with these primary keys."""
        branch = self.branch
        pk = [exp.column(c, table=branch.root) for c in branch.tables[branch.root].pk]
        wanted = exp.Tuple(expressions=[text_of(e) for e in pk]) if len(pk) > 1 else text_of(pk[0])
        listed = ", ".join(self.sql.row(key) for key in keys)
        columns = ", ".join(self.sql.of(e) for e in (*pk, branch.keys[self.names.index(column)]))
        where = f"{self.sql.all(branch.conditions)} AND {self.sql.of(wanted)} IN ({listed})"
        return f"SELECT {columns} {self.sql.source(branch)} WHERE {where}"

    def _select(self, items: Items, pk: Sequence[exp.Expr], thorough: bool) -> str:
        branch = self.branch
        columns = [f"{self.sql.of(e)} AS p{i}" for i, e in enumerate(pk)]
        columns += [f"{self.sql.of(e)} AS k{i}" for i, e in enumerate(branch.keys)]
        columns += ["1 AS n"] if pk else []
        columns += [f"{self.sql.amount(e)} AS a{i}" for i, e in enumerate(branch.amounts)]
        where = [self.sql.all(branch.conditions), *self._wanted(items, thorough)]
        return f"SELECT {', '.join(columns)} {self.sql.source(branch)} WHERE {' AND '.join(where)}"

    def _wanted(self, items: Items, thorough: bool) -> list[str]:
        ident = self.branch.keys[self.names.index("item_id")] if "item_id" in self.names else None
        label = self.branch.keys[self.names.index("item" if "item" in self.names else "item_id")]
        tests = [t for t in (self._labelled(label, items, thorough), self._identified(ident, items)) if t]
        found = [f"({' OR '.join(tests)})" if tests else "FALSE"]
        join = self._by_label(label)
        if join and not items.ids:
            found.append(self.sql.among(join.pairs[0][1], self._holders(join, found[0])))
        return found

    def _labelled(self, label: exp.Expr, items: Items, thorough: bool) -> str:
        if items.slots:
            return f"{self.sql.slot(label, SLOTS)} BETWEEN {items.slots[0]} AND {items.slots[1] - 1}"
        if thorough and items.codes:
            return f"{self.sql.code(label)} IN ({self.sql.listed(items.codes)})"
        return self._in(label, items.codes)

    def _identified(self, ident: exp.Expr | None, items: Items) -> str:
        return "" if ident is None else self._in(ident, items.ids)

    def _in(self, value: exp.Expr, texts: Iterable[str]) -> str:
        """`value IN (texts)`, in the column's own type wherever that lets the ERP use an index."""
        if self._kind(value) == "number":
            numbers = sorted(t for t in texts if t.removeprefix("-").isdecimal() and t.isascii())
            return f"{self.sql.of(value)} IN ({', '.join(numbers)})" if numbers else ""
        text = value if self._kind(value) == "text" else text_of(value)
        return f"{self.sql.of(text)} IN ({listed})" if (listed := self.sql.listed(texts)) else ""

    def _kind(self, value: exp.Expr) -> str:
        if not isinstance(value, exp.Column):
            return "text" if isinstance(value, exp.Literal) and value.is_string else ""
        table = self.branch.tables[value.table]
        kind = table.types[value.name].kind
        return "" if table.column(value.name).type.lower() == "uuid" else kind

    def _by_label(self, label: exp.Expr) -> Join | None:
        """The join by one column that finds what the label is read from: its rows name the keys to look up."""
        aliases = {c.table for c in label.find_all(exp.Column)}
        found = [j for j in self.branch.joins if aliases == {j.alias} and len(j.pairs) == 1]
        return found[0] if found and isinstance(found[0].pairs[0][1], exp.Column) else None

    def _holders(self, join: Join, wanted: str) -> str:
        """The values to look up."""
        column = self.sql.of(exp.column(join.pairs[0][0], table=join.alias))
        return f"SELECT {column} FROM {self.sql.table(join.table)} AS {join.alias} WHERE {wanted}"  # noqa: S608


def keyed(text: MappingText, catalog: Catalog, params: Params) -> list[KeyedBranch]:
    """A query's branches. Raises PackError for everything that compiling it would."""
    plan = Planner(parse_query(text, catalog, params), {}).plan()
    roots = [b.tables[b.root] for b in plan.branches]
    return [
        KeyedBranch(b, Sql(catalog.dialect), plan.keys, t.table.name, tuple(t.column(c).name for c in t.pk))
        for b, t in zip(plan.branches, roots, strict=True)
    ]


def added(groups: Iterable[Group]) -> list[Group]:
    """The branches' groups as the whole query has them: rows of one key add."""
    found: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for key, count, sums in groups:
        held = found.get(key, (0,) * (1 + len(sums)))
        found[key] = tuple(a + b for a, b in zip(held, (count, *sums), strict=True))
    return [(key, count, tuple(sums)) for key, (count, *sums) in found.items()]
