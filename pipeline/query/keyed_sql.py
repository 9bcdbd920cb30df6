"""What a keyed query says differently in each dialect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.query.layout import TablePlan
from pipeline.query.plan import Branch
from pipeline.query.render import for_literal

_BLANKS = " \t\n\r\v\f\x1c\x1d\x1e\x1f"  # ASCII of what ends a code without being part of it, as str.rstrip has it


@dataclass(frozen=True)
class Sql:
    """Writes expressions of `dialect`: postgres or mysql."""

    dialect: str

    def of(self, e: exp.Expr) -> str:
        """Names quoted, so that none is a word of the language."""
        return e.sql(self.dialect, identify=True)

    def amount(self, e: exp.Expr) -> str:
        """An amount; alone, without the arms beside it, NULL would be a text."""
        return self.of(exp.cast(e.copy(), "numeric") if isinstance(e, exp.Null) else e)

    def table(self, table: TablePlan) -> str:
        """A table's whole name."""
        schema, _, name = table.table.name.rpartition(".")
        return self.of(exp.table_(name, db=schema or None))

    def source(self, branch: Branch) -> str:
        """FROM and the joins."""
        parts = [f"FROM {self.table(branch.tables[branch.root])} AS {branch.root}"]
        for join in branch.joins:
            keys = [f"{self.of(exp.column(c, table=join.alias))} = {self.of(e)}" for c, e in join.pairs]
            on = " AND ".join([*keys, *(f"({self.of(e)})" for e in join.rest)])
            parts.append(f"{'LEFT ' if join.left else ''}JOIN {self.table(join.table)} AS {join.alias} ON {on}")
        return " ".join(parts)

    def all(self, conditions: Sequence[exp.Expr]) -> str:
        """Every condition."""
        return " AND ".join(f"({self.of(e)})" for e in conditions) or "TRUE"

    def listed(self, texts: Iterable[str]) -> str:
        """Texts as IN (..) takes them."""
        return ", ".join(for_literal(t, self.dialect) for t in sorted(texts))

    def row(self, key: tuple[object, ...]) -> str:
        """A primary key as IN (..) takes it."""
        listed = ", ".join(for_literal(str(k), self.dialect) for k in key)
        return f"({listed})" if len(key) > 1 else listed

    def among(self, value: exp.Expr, query: str) -> str:
        """A value among a query's: an uncorrelated one, run once and before the rest whatever the planner finds."""
        return (
            f"{self.of(value)} IN ({query})" if self.dialect == "mysql" else f"{self.of(value)} = ANY (ARRAY({query}))"
        )

    def code(self, label: exp.Expr) -> str:
        """A label without the blanks at its end."""
        text = self.of(text_of(label))
        if self.dialect == "mysql":
            return f"REGEXP_REPLACE({text}, {for_literal(f'[{_BLANKS}]+$', 'mysql')}, '')"
        return f"rtrim({text}, {for_literal(_BLANKS, 'postgres')})"

    def slot(self, label: exp.Expr, slots: int) -> str:
        """Which of so many slots a label falls into, by its MD5."""
        code = f"NULLIF({self.code(label)}, '')"
        if self.dialect == "mysql":
            return f"CAST(CONV(LEFT(MD5(CONVERT({code} USING utf8mb4)), 8), 16, 10) AS UNSIGNED) % {slots}"
        return f"('x' || left(md5(convert_to({code}, 'UTF8')), 8))::bit(32)::bigint % {slots}"


def text_of(e: exp.Expr) -> exp.Expr:
    """A value as text."""
    return exp.cast(e.copy(), "text")
