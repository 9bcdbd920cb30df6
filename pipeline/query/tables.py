"""A remembered table: what the connector's rows look like, how they become ours, how they come and go."""

import keyword
import sys
from collections.abc import Callable, Collection, Hashable
from typing import Any

import msgspec

from pipeline.query.layout import TablePlan
from pipeline.query.types import Type
from pipeline.query.values import (
    UNAVAILABLE,
    BadValueError,
    Memo,
    UnavailableError,
    WrongTypeError,
    approximate,
    iso_date,
    iso_timestamp,
    json_text,
    scaled,
)

_UNAVAILABLE = sys.intern(UNAVAILABLE)
Convert = Callable[[Any], Any]


class TableFold:
    """One remembered table; its rows are shared by all views of the source.

    `row_type` has exactly the needed columns under their real names, `key_type` those of the primary key. `pk` takes
    either and gives a bare value, or a tuple of several. `upsert(row)` and `delete(pk)` are idempotent. Both `upsert`
    and `pk` raise a BadValueError before anything has changed.
    """

    def __init__(self, plan: TablePlan, dialect: str, names: dict[str, Any]) -> None:
        self.name = plan.table.name
        self.columns = tuple(plan.column(c).name for c in plan.needed)
        self.row_type = _struct("Row", plan, plan.needed)
        self.key_type = _struct("Key", plan, plan.pk)
        self._rows: dict[Any, tuple[Any, ...]] = names[f"R_{plan.id}"]
        self._change: Callable[[Any, Any, Any], None] = names[f"change_{plan.id}"]
        made = _generate(plan, dialect, self._rows, self._change)
        self.pk: Callable[[msgspec.Struct], Hashable] = made["pk"]
        self.upsert: Callable[[msgspec.Struct], None] = made["upsert"]

    def delete(self, pk: Hashable) -> None:
        """Forget a row; an unknown one is no news."""
        old = self._rows.get(pk)
        if old is not None:
            self._change(pk, old, None)

    def pks(self) -> Collection[Any]:
        """The primary keys of the remembered rows."""
        return self._rows.keys()

    def clear(self) -> None:
        """Forget all rows: the table was truncated."""
        for pk in list(self._rows):
            self.delete(pk)


def _attribute(plan: TablePlan, column: str) -> str:
    """The struct's field for a column: its real name where Python allows it."""
    name = plan.column(column).name
    usable = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
    return name if usable else f"column_{plan.needed.index(column)}"


def _struct(kind: str, plan: TablePlan, columns: tuple[str, ...]) -> type[msgspec.Struct]:
    """A NOT NULL column refuses null while decoding: generated code relies on it."""
    fields = []
    for column in columns:
        wire = plan.types[column].wire
        fields.append((_attribute(plan, column), wire if plan.nullable(column) else _without_none(wire)))
    real = {_attribute(plan, c): plan.column(c).name for c in columns}
    return msgspec.defstruct(f"{kind}_{plan.id}", fields, rename=real, gc=False)


def _without_none(wire: Any) -> Any:
    kinds = [t for t in wire.__args__ if t is not type(None)]
    joined = kinds[0]
    for kind in kinds[1:]:
        joined |= kind
    return joined


def converter(type_: Type, dialect: str) -> Convert | None:
    """What turns a connector's value of a column into ours; None = it is ours already."""
    if type_.flag:
        return Memo(int).__getitem__
    if type_.kind == "number":
        return None if type_.integer else Memo(approximate if type_.approx else scaled(type_.scale)).__getitem__
    if type_.kind in ("date", "timestamp"):
        return Memo(iso_date if type_.kind == "date" else iso_timestamp).__getitem__
    if type_.kind == "json":
        return lambda value: None if value is None else sys.intern(json_text(value))
    if type_.kind == "text" and (type_.char or dialect == "oracle"):
        return _blank_rules(char=type_.char, empty_is_null=dialect == "oracle")
    return None


def _blank_rules(*, char: bool, empty_is_null: bool) -> Convert:
    def convert(value: Any) -> Any:
        if value is None or (empty_is_null and value == ""):
            return None
        return sys.intern(value.rstrip(" ") if char else value)

    return convert


def _generate(plan: TablePlan, dialect: str, rows: dict[Any, Any], change: Callable[..., None]) -> dict[str, Any]:
    """`upsert` and `pk` of one table. Equal rows end early; interned texts live as long as rows refer to them."""
    names: dict[str, Any] = {
        "R": rows, "change": change, "intern": sys.intern, "UNAVAILABLE": _UNAVAILABLE, "BadValueError": BadValueError,
    }  # fmt: skip
    codes = {c: _code(plan, c, i, dialect, names) for i, c in enumerate(plan.needed)}
    names["explain"] = _explainer(plan, names, codes)
    names["keep"] = _keeper(plan)
    late = [i for i, c in enumerate(plan.needed) if plan.types[c].kind in ("text", "json") and c not in plan.pk]
    source = [
        "def pk(r):",
        f"    try: return {_tuple_or_bare([codes[c] for c in plan.pk])}",
        "    except Exception as error: raise explain(r, PK) from error",
        "def upsert(r):",
        f"    try: new = ({', '.join(codes.values())},)",
        "    except Exception as error: raise explain(r, ALL) from error",
        f"    pk = {_tuple_or_bare([f'new[{plan.position(c)}]' for c in plan.pk])}",
        "    old = R.get(pk)",
        *([f"    if {' or '.join(f'new[{i}] is UNAVAILABLE' for i in late)}: new = keep(new, old)"] if late else []),
        "    if new == old: return",
        "    change(pk, old, new)",
    ]
    names |= {"PK": plan.pk, "ALL": plan.needed}
    exec(compile("\n".join(source), "<rows>", "exec"), names)  # noqa: S102 -- code of our own, from the catalog
    return names


def _tuple_or_bare(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _code(plan: TablePlan, column: str, at: int, dialect: str, names: dict[str, Any]) -> str:
    type_, read = plan.types[column], f"r.{_attribute(plan, column)}"
    convert = converter(type_, dialect)
    if convert is not None:
        # A memo's look-up stands as memo[value]: no call on a hit.
        memo = getattr(convert, "__self__", None)
        names[f"F{at}"] = memo if isinstance(memo, Memo) else convert
        return f"F{at}[{read}]" if isinstance(memo, Memo) else f"F{at}({read})"
    if type_.kind != "text":
        return read
    return f"(None if (t := {read}) is None else intern(t))" if plan.nullable(column) else f"intern({read})"


def _explainer(plan: TablePlan, names: dict[str, Any], codes: dict[str, str]) -> Callable[..., BadValueError]:
    """Finds the column at fault; its value is never shown."""

    def explain(row: Any, columns: tuple[str, ...]) -> BadValueError:
        for column in columns:
            try:
                eval(codes[column], names, {"r": row})  # noqa: S307 -- the same generated code once more
            except BadValueError as error:
                return type(error)(f"{plan.table.name}.{plan.column(column).name}: {error}")
            except Exception:  # noqa: BLE001 -- whatever a wrong type raises
                return WrongTypeError(f"{plan.table.name}.{plan.column(column).name}: not of the catalog's type")
        return WrongTypeError(f"{plan.table.name}: a row that cannot be read")

    return explain


def _keeper(plan: TablePlan) -> Callable[..., tuple[Any, ...]]:
    def keep(new: tuple[Any, ...], old: tuple[Any, ...] | None) -> tuple[Any, ...]:
        if old is None:
            column = plan.column(plan.needed[next(i for i, v in enumerate(new) if v is _UNAVAILABLE)]).name
            message = f"{plan.table.name}.{column}: left out by the connector, and no earlier row is known"
            raise UnavailableError(message)
        return tuple(o if n is _UNAVAILABLE else n for n, o in zip(new, old, strict=True))

    return keep
