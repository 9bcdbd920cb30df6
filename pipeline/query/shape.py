"""Which output columns of a query are keys and which amounts, checked against the pack contract."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.query.contract import CONTRACTS, WITH_ID
from pipeline.query.place import MappingText, closest


def is_grouped(arm: exp.Select) -> bool:
    """Whether an arm adds its rows itself."""
    return bool(arm.args.get("group")) or any(e.find(exp.AggFunc) for e in arm.expressions)


@dataclass(frozen=True)
class Shape:
    """Which output columns are keys and which amounts; names come from the first arm."""

    kind: str
    key_names: tuple[str, ...]
    amount_names: tuple[str, ...]
    amount_at: frozenset[int]
    keys: tuple[exp.Expr, ...] = ()
    amounts: tuple[exp.Expr, ...] = ()

    @classmethod
    def of(cls, arm: exp.Select, text: MappingText) -> "Shape":
        """The shape of the first arm: names decide. PackError for a name the contract does not know, or lacks."""
        contract = CONTRACTS[text.kind]
        names = [e.alias_or_name.lower() for e in arm.expressions]
        for name, expression in zip(names, arm.expressions, strict=True):
            if name not in contract.keys and name not in contract.amounts and name != "line_id":
                known = sorted(contract.keys | set(contract.amounts))
                fix = f"correct its name{closest(name, known)}   ({text.kind}.sql may yield {', '.join(known)})"
                text.refuse(expression, f"{name or 'a column without a name'} is no column of {text.kind}.sql", fix)
            if names.count(name) > 1:
                text.refuse(expression, f"{name} is yielded twice", "remove one")
        for name in contract.required:
            if name not in names and not (name in WITH_ID and f"{name}_id" in names):
                text.refuse(arm, f"{text.kind}.sql must yield {name}", f"add .. AS {name}")
        at = frozenset(i for i, n in enumerate(names) if n in contract.amounts)
        key_names = tuple(n for i, n in enumerate(names) if i not in at)
        return cls(text.kind, key_names, tuple(n for i, n in enumerate(names) if i in at), at)

    def match(self, arm: exp.Select, text: MappingText) -> "Shape":
        """The same shape with this arm's expressions, SUM(..) taken off."""
        width = len(self.key_names) + len(self.amount_names)
        if len(arm.expressions) != width:
            fix = "yield the same columns in the same order"
            text.refuse(arm, f"this arm has {len(arm.expressions)} columns, the first has {width}", fix)
        keys = tuple(e.unalias() for i, e in enumerate(arm.expressions) if i not in self.amount_at)
        amounts = tuple(e.unalias() for i, e in enumerate(arm.expressions) if i in self.amount_at)
        if is_grouped(arm):
            _check_grouping(arm, keys, amounts, text)
            amounts = tuple(a.this for a in amounts)
        return Shape(self.kind, self.key_names, self.amount_names, self.amount_at, keys, amounts)


def _check_grouping(arm: exp.Select, keys: Sequence[exp.Expr], amounts: Sequence[exp.Expr], text: MappingText) -> None:
    for amount in amounts:
        if not isinstance(amount, exp.Sum) or amount.this.find(exp.AggFunc):
            text.refuse(amount, "an amount beside GROUP BY must be SUM(expression)", "write SUM(..), or drop GROUP BY")
    clause = arm.args.get("group")
    listed = {e.sql() for e in clause.expressions} if clause else set()
    if listed != {k.sql() for k in keys if k.find(exp.Column)} or any(k.find(exp.AggFunc) for k in keys):
        text.refuse(
            clause or arm, "GROUP BY must list exactly the keys", "drop SUM and GROUP BY: rows are added anyway"
        )
