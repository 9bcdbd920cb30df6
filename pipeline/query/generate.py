"""Plan -> Python source -> closures: one pair of functions a branch (add, subtract), one `change` a table.

A remembered row's contribution is never stored: the same code that added it takes it out again, run on the old row.
Names in generated code: R_T0 rows of a table, N_T0 its row of NULLs, I0/U0 join indexes, L_0/D_0 a view's groups and
which of them were touched, a3 a column of the root row, s2 a joined row.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlglot import exp

from pipeline.query import rows, values
from pipeline.query.branch import BranchCode, BranchCompiler, folded_code
from pipeline.query.expressions import Expressions
from pipeline.query.layout import TablePlan
from pipeline.query.operands import FOLDS, Value
from pipeline.query.plan import Branch, QueryPlan
from pipeline.query.types import Type
from pipeline.query.writer import Writer


class Generator:
    """Generates and runs the code of one source; `names` is the generated module's namespace."""

    def __init__(self, dialect: str, tables: Sequence[TablePlan], today: str) -> None:
        self.dialect, self.tables = dialect, tables
        self.indexes: dict[tuple[str, tuple[str, ...]], str] = {}
        self.uniques: dict[tuple[str, tuple[str, ...]], str] = {}
        self.branches: list[BranchCode] = []
        self.names: dict[str, Any] = {
            "TODAY": [today],
            "UPPER": values.upper,
            "LOWER": values.lower,
            "JSON_KEY": values.json_key,
            "NOBODY": rows.NOBODY,
            "move": rows.move,
            "move_unique": rows.move_unique,
            "CASE": values.Memo(values.without_case),
            "PADDING": values.Memo(values.without_padding),
            "CASE_AND_PADDING": values.Memo(values.without_case_and_padding),
            **{f"SPELL_{memo}": values.Spellings() for memo in FOLDS.values()},
        }
        for table in tables:
            self.names |= {f"R_{table.id}": {}, f"N_{table.id}": (None,) * len(table.needed)}

    # ---- branches

    def add_query(self, number: int, plan: QueryPlan) -> tuple[list[Type], list[Type]]:
        """Compile a query's branches as view `number`; the types of its keys and of its amounts."""
        self.names |= {f"L_{number}": {}, f"D_{number}": []}
        codes = [self._branch(b) for b in plan.branches]
        key_types = [self._common(plan, [c.keys[i] for c in codes], key=True) for i in range(len(plan.keys))]
        amount_types = [self._common(plan, [c.amounts[i] for c in codes]) for i in range(len(plan.amounts))]
        for code in codes:
            code.keys = [self._spelled(i, code, type_) for i, type_ in enumerate(key_types)]
            self.branches.append(code)
            for sign in ("+", "-"):
                self._run(self._contribution(len(self.branches) - 1, number, code, amount_types, sign))
            self._run([f"def moved_{len(self.branches) - 1}(row, lo, hi): return {code.moved}"])
        return key_types, amount_types

    def _spelled(self, at: int, code: BranchCode, type_: Type) -> Value:
        """Texts equal for the ERP are one key under the first spelling seen; the query's own words come first.

        `type_` is of all arms: a literal is compared by the collation of the columns it stands under.
        """
        value = code.keys[at]
        if not type_.fold:
            return value
        memo, name = FOLDS[type_.fold], f"w{at}"
        for word in code.words[at]:
            self.names[f"SPELL_{memo}"].add_word(self.names[memo][word], word)
        spelled = f"(None if ({name} := {value.code}) is None else SPELL_{memo}.setdefault({memo}[{name}], {name}))"
        return Value(spelled, value.type, value.nullable)

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

    def _branch(self, branch: Branch) -> BranchCode:
        return BranchCompiler(self, branch).compile()

    def _contribution(self, index: int, view: int, code: BranchCode, amounts: list[Type], sign: str) -> list[str]:
        out = Writer()
        out.block(f"def {'add' if sign == '+' else 'sub'}_{index}(row):")
        out.lines += code.body.lines
        out.depth = code.body.depth
        out.line(f"k = ({', '.join(v.code for v in code.keys)},)")
        out.line(f"L = L_{view}.get(k)")
        out.line(f"if L is None: L = L_{view}[k] = [0{', 0' * len(amounts)}, False]")
        out.line(f"L[0] {sign}= 1")
        for i, (value, type_) in enumerate(zip(code.amounts, amounts, strict=True), 1):
            _accumulate(out, i, value, 10 ** (type_.scale - value.type.scale), sign)
        # A flag in the group instead of a set of keys: a key is hashed once.
        out.block("if not L[-1]:")
        out.line("L[-1] = True")
        out.line(f"D_{view}.append((k, L))")
        return out.lines

    def moved(self, low: str, high: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(branch, root row) of every contribution that may differ between today = low and today = high."""
        for i, code in enumerate(self.branches):
            if code.uses_today:
                rows_of = self.names[f"R_{code.branch.tables[code.branch.root].id}"]
                passes = self.names[f"moved_{i}"]
                yield from ((i, row) for row in rows_of.values() if passes(row, low, high))

    def _run(self, lines: Iterable[str]) -> None:
        exec(compile("\n".join(lines), "<mapping>", "exec"), self.names)  # noqa: S102 -- code of our own grammar only

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
        self.names.setdefault(name, {})
        return name

    def unique(self, table: TablePlan, columns: tuple[str, ...]) -> str:
        """The index of a table's rows by a unique key."""
        name = self.uniques.setdefault((table.id, columns), f"U{len(self.uniques)}")
        self.names.setdefault(name, {})
        return name

    # ---- tables

    def finish(self) -> None:
        """Generate every table's `change(pk, old, new)`; call after all queries."""
        for table in self.tables:
            self._run(self._change(table))

    def _change(self, table: TablePlan) -> list[str]:
        out = Writer()
        out.block(f"def change_{table.id}(pk, old, new):")
        roots = [i for i, c in enumerate(self.branches) if c.branch.tables[c.branch.root] is table]
        joined = self._joined(table)
        for i, aliases in joined.items():
            self._affected(out, table, i, aliases, is_root=i in roots)
        plain = [i for i in roots if i not in joined]
        self._contribute(out, "sub", "old", plain, list(joined))
        self._store(out, table)
        self._contribute(out, "add", "new", plain, list(joined))
        return out.lines

    def _joined(self, table: TablePlan) -> dict[int, list[str]]:
        """Branch -> its aliases that join this table."""
        found = {i: [j.alias for j in c.branch.joins if j.table is table] for i, c in enumerate(self.branches)}
        return {i: aliases for i, aliases in found.items() if aliases}

    def _affected(self, out: Writer, table: TablePlan, i: int, aliases: list[str], *, is_root: bool) -> None:
        """f<i> = the root rows of branch i whose contribution this change may alter."""
        branch = self.branches[i].branch
        out.line(f"f{i} = {{pk}}" if is_root else f"f{i} = set()")
        for alias in aliases:
            depth = out.depth
            used = sorted(_used(branch, alias))
            differs = " or ".join(f"old[{table.position(c)}] != new[{table.position(c)}]" for c in used)
            out.block(f"if old is None or new is None or {differs}:")
            same_key = set(next(j.key for j in branch.joins if j.alias == alias)) <= set(table.pk)
            out.block("for r0 in (new or old,):" if same_key else "for r0 in (old, new):")
            out.block("if r0 is not None:")
            self._walk(out, branch, alias, f"f{i}")
            out.depth = depth

    def _walk(self, out: Writer, branch: Branch, alias: str, target: str) -> None:
        """From a joined row back to the root rows that refer to it, through the rows in between."""
        by_alias = {j.alias: j for j in branch.joins}
        join, n = by_alias[alias], 0
        while True:
            parent = branch.tables[join.parent]
            columns = join.parent_columns
            index = self.index(parent, tuple(p for _, p in columns))
            key = self.key_code(join.table, tuple(c for c, _ in columns), f"r{n}")
            if join.parent == branch.root:
                out.line(f"{target}.update({index}.get({key}, ()))")
                return
            n += 1
            out.block(f"for x{n} in {index}.get({key}, ()):")
            out.line(f"r{n} = R_{parent.id}[x{n}]")
            join = by_alias[join.parent]

    def key_code(self, table: TablePlan, columns: tuple[str, ...], row: str) -> str:
        """The key of a row: bare for one column, else a tuple; None where a part is NULL."""
        parts = [folded_code(f"{row}[{table.position(c)}]", table.types[c]) for c in columns]
        if len(parts) == 1:
            return parts[0]
        nullable = [f"{row}[{table.position(c)}] is None" for c in columns if table.nullable(c)]
        whole = f"({', '.join(parts)})"
        return f"(None if {' or '.join(nullable)} else {whole})" if nullable else whole

    def _contribute(self, out: Writer, verb: str, row: str, plain: list[int], joined: list[int]) -> None:
        if plain:
            out.block(f"if {row} is not None:")
            for i in plain:
                out.line(f"{verb}_{i}({row})")
            out.depth -= 1
        for i in joined:
            root = self.branches[i].branch
            out.block(f"for x in f{i}:")
            out.line(f"row = R_{root.tables[root.root].id}.get(x)")
            out.line(f"if row is not None: {verb}_{i}(row)")
            out.depth -= 1

    def _store(self, out: Writer, table: TablePlan) -> None:
        out.line(f"if new is None: del R_{table.id}[pk]")
        out.line(f"else: R_{table.id}[pk] = new")
        for names, mover in ((self.indexes, "move"), (self.uniques, "move_unique")):
            for (owner, columns), name in names.items():
                if owner == table.id:
                    self._reindex(out, table, columns, name, mover)

    def _reindex(self, out: Writer, table: TablePlan, columns: tuple[str, ...], name: str, mover: str) -> None:
        differs = " or ".join(f"old[{table.position(c)}] != new[{table.position(c)}]" for c in columns)
        keys = [f"None if {row} is None else {self.key_code(table, columns, row)}" for row in ("old", "new")]
        out.line(f"if old is None or new is None or {differs}: {mover}({name}, {keys[0]}, {keys[1]}, pk)")


def _accumulate(out: Writer, at: int, value: Value, factor: int, sign: str) -> None:
    if value.is_constant:
        if value.constant:
            out.line(f"L[{at}] {sign}= {value.constant * factor}")
        return
    scale = f" * {factor}" if factor > 1 else ""
    if not value.nullable:
        out.line(f"L[{at}] {sign}= {value.code}{scale}")
    else:
        out.line(f"n = {value.code}")
        out.line(f"if n is not None: L[{at}] {sign}= n{scale}")


def _used(branch: Branch, alias: str) -> set[str]:
    """The columns of a joined table that its branch looks at."""
    own = {c for j in branch.joins if j.alias == alias for c in j.key}
    return own | {c.name for e in branch.expressions for c in e.find_all(exp.Column) if c.table == alias}


def _no_column(alias: str, name: str) -> Value:
    raise LookupError(f"{alias}.{name}")
