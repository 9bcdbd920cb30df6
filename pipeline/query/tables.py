"""A remembered table: what the connector's rows look like, how they become ours, how they come and go."""

import keyword
import sys
from collections.abc import Callable, Collection, Container, Hashable, Iterable
from typing import Any

import msgspec

from pipeline.query.generate import Generator
from pipeline.query.layout import TablePlan
from pipeline.query.salvage import Salvage, as_sent, salvager
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

    def __init__(self, plan: TablePlan, generator: Generator) -> None:
        self.name = plan.table.name
        self.columns = tuple(plan.column(c).name for c in plan.needed)
        self.row_type = _struct("Row", plan, plan.needed)
        self.key_type = _struct("Key", plan, plan.pk)
        self._rows: dict[Any, tuple[Any, ...]] = generator.names[f"R_{plan.id}"]
        self._walk: Callable[[Any], Iterable[Any]] = generator.names["walk"]
        self._change: Callable[[Any, Any, Any], None] = generator.names[f"change_{plan.id}"]
        self.source, made = _generate(plan, generator)
        self.pk: Callable[[msgspec.Struct], Hashable] = made["pk"]
        self.upsert: Callable[[msgspec.Struct], None] = made["upsert"]
        self.salvage: Salvage = made["salvage"]
        self._plan = plan

    def remembered(self, pk: Hashable) -> tuple[Any, ...] | None:
        """A row as it is remembered, None where it is not."""
        row: tuple[Any, ...] | None = self._rows.get(pk)
        return row

    def as_sent(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """A remembered row as the connector sends it: what `row_type` reads."""
        return as_sent(self._plan, row)

    def delete(self, pk: Hashable) -> None:
        """Forget a row; an unknown one is no news."""
        old = self._rows.get(pk)
        if old is not None:
            self._change(pk, old, None)

    def pks(self) -> Collection[Any]:
        """The primary keys of the remembered rows."""
        return self._rows.keys()

    def keep_only(self, pks: Container[Any]) -> None:
        """Forget the rows of all other pks."""
        for pk in self._walk(self._rows):
            if pk not in pks:
                self.delete(pk)

    def clear(self) -> None:
        """Forget all rows: the table was truncated."""
        self.keep_only(())


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


def _conversion(type_: Type) -> Convert | None:
    """What turns a connector's value into ours, worth a memo; None = no more than a text's blanks is to be done."""
    if type_.flag:
        return int
    if type_.kind == "number" and not type_.integer:
        return approximate if type_.approx else scaled(type_.scale)
    return {"date": iso_date, "timestamp": iso_timestamp}.get(type_.kind)


def _same(value: Any) -> Any:
    return value


def _generate(plan: TablePlan, generator: Generator) -> tuple[str, dict[str, Any]]:
    """The source of `upsert` and `pk` of one table, and its names. Equal rows end early."""
    names: dict[str, Any] = {
        "R": generator.names[f"R_{plan.id}"], "change": generator.names[f"change_{plan.id}"], "intern": sys.intern,
        "UNAVAILABLE": _UNAVAILABLE, "BadValueError": BadValueError,
    }  # fmt: skip
    codes = {c: _code(plan, c, generator, names) for c in plan.needed}
    names["explain"] = _explainer(plan, names, codes)
    names["keep"] = _keeper(plan)
    late = [i for i, c in enumerate(plan.needed) if plan.types[c].kind in ("text", "json") and c not in plan.pk]
    pk = _tuple_or_bare([codes[c] for c in plan.pk])
    plain = len(plan.pk) == 1 and codes[plan.pk[0]] == f"r.{_attribute(plan, plan.pk[0])}"
    source = [
        "def pk(r):",
        f"    try: return {pk}",
        "    except Exception as error: raise explain(r, PK) from error",
        "def upsert(r):",
        *(_build_with_known_pk if plain else _build)(plan, codes),
        *([f"    if {' or '.join(f'new[{i}] is UNAVAILABLE' for i in late)}: new = keep(new, old)"] if late else []),
        *(["    new = derive(new)"] if plan.derived else []),
        "    if new == old: return",
        "    change(pk, old, new)",
    ]
    names |= {"PK": plan.pk, "ALL": plan.needed, "derive": generator.names.get(f"derive_{plan.id}")}
    names["salvage"] = salvager(plan, names, codes, {c: _attribute(plan, c) for c in plan.needed})
    text = "\n".join(source) + "\n"
    exec(compile(text, "<rows>", "exec"), names)  # noqa: S102 -- code of our own, from the catalog
    return text, names


def _build(plan: TablePlan, codes: dict[str, str]) -> list[str]:
    return [
        f"    try: new = ({', '.join(codes.values())},)",
        "    except Exception as error: raise explain(r, ALL) from error",
        f"    pk = {_tuple_or_bare([f'new[{plan.position(c)}]' for c in plan.pk])}",
        "    old = R.get(pk)",
    ]


def _build_with_known_pk(plan: TablePlan, codes: dict[str, str]) -> list[str]:
    """A whole number is not interned as texts are: the row shares the one that the store and the indexes hold."""
    at = plan.position(plan.pk[0])
    values = ["pk" if c == plan.pk[0] else code for c, code in codes.items()]
    return [
        f"    pk = {codes[plan.pk[0]]}",
        "    old = R.get(pk)",
        f"    if old is not None: pk = old[{at}]",
        f"    try: new = ({', '.join(values)},)",
        "    except Exception as error: raise explain(r, ALL) from error",
    ]


def _tuple_or_bare(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _code(plan: TablePlan, column: str, generator: Generator, names: dict[str, Any]) -> str:
    """How a column is read. Interned texts live as long as rows refer to them; a memo's values are shared by rows."""
    type_, read = plan.types[column], f"r.{_attribute(plan, column)}"
    if type_.kind == "json":
        names["JSON"] = json_text
        return f"(None if (t := {read}) is None else intern(JSON(t)))"
    if type_.kind == "text":
        return _text_code(type_, read, oracle=generator.dialect == "oracle", nullable=plan.nullable(column))
    convert = _conversion(type_)
    if convert is None and generator.refers(plan, column) and column not in plan.pk:
        convert = _same
    if convert is None:
        return read
    name = "SAME" if convert is _same else "FLAG" if type_.flag else f"{type_.kind.upper()}_{type_.scale}"
    name += "_APPROX" if type_.approx else ""
    names[name] = generator.names.setdefault(name, Memo(convert))
    # A memo's look-up stands as memo[value]: no call on a hit.
    return f"{name}[{read}]"


def _text_code(type_: Type, read: str, *, oracle: bool, nullable: bool) -> str:
    stripped = ".rstrip(' ')" if type_.char else ""
    if oracle:  # '' is NULL, a blank CHAR is not
        return f"(intern(t{stripped}) if (t := {read}) else None)"
    return f"(None if (t := {read}) is None else intern(t{stripped}))" if nullable else f"intern({read}{stripped})"


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
        return tuple(o if n is _UNAVAILABLE else n for n, o in zip(new, old[: len(new)], strict=True))

    return keep
