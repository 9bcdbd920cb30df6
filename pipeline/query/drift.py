"""What changed in the ERP's schema since a source was applied, as far as its mapping reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.query.types import Type, column_type

Captured = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference that makes numbers doubtful. `stale`: rows of `table` in the log are not what the ERP has now."""

    table: str
    what: str
    stale: bool


def differences(before: Catalog, now: Catalog, captured: Captured) -> list[Difference]:
    """What differs in the captured tables and columns; what is harmless (a wider number, a further column) is not."""
    return [
        Difference(name, what, stale)
        for name, columns in captured.items()
        for what, stale in _in_table(before.tables[name], now.tables.get(name), columns, now.dialect)
    ]


def _in_table(old: Table, new: Table | None, columns: tuple[str, ...], dialect: str) -> Iterator[tuple[str, bool]]:
    if new is None:
        yield f"table {old.name} is gone: it was dropped or renamed", True
        return
    if _table_of(old) != _table_of(new):
        yield f"table {old.name} is another table than the one that was applied", True
        return
    for name in columns:
        if name not in new.columns:
            yield f"column {old.name}.{name} is gone: it was dropped{_renamed(old, new, name)}", True
        else:
            yield from _in_column(f"column {old.name}.{name}", old.columns[name], new.columns[name], dialect)
    if old.primary_key != new.primary_key:
        keys = [", ".join(t.primary_key) or "nothing" for t in (old, new)]
        yield f"table {old.name}: its primary key was {keys[0]} and is {keys[1]}", True


def _in_column(shown: str, old: Column, new: Column, dialect: str) -> Iterator[tuple[str, bool]]:
    if old.identity != new.identity and old.identity:
        yield f"{shown} is another column than the one that was applied: it was dropped and made again", True
    if not _holds(column_type(old, dialect), column_type(new, dialect)):
        yield f"{shown}: its type was {old.type} and is {new.type}", True
    elif old.collation != new.collation:
        yield f"{shown}: its collation was {old.collation or 'default'} and is {new.collation or 'default'}", False
    if new.nullable and not old.nullable:
        yield f"{shown} may be NULL now", False


def _holds(old: Type, new: Type) -> bool:
    """Whether every value of the new type is one of the old, or is refused row by row: exact numbers grow."""
    if old.kind == new.kind == "number" and old.integer == new.integer and old.approx == new.approx:
        return new.scale >= old.scale
    return _bare(old) == _bare(new)


def _bare(type_: Type) -> Type:
    return replace(type_, size=0, fold="", binary=False)  # both are the collation's


def _renamed(old: Table, new: Table, name: str) -> str:
    identity = old.columns[name].identity
    found = next((c.name for c in new.columns.values() if identity and c.identity == identity), None)
    return "" if found is None else f", or rather renamed to {found}"


def _table_of(table: Table) -> str:
    return next((c.identity.partition(".")[0] for c in table.columns.values()), "")
