"""Differences of two catalogs: what makes numbers doubtful, and what does not."""

import pytest

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.query.drift import differences

READ = {"public.q": ("id", "n", "t")}


def catalog(*columns: Column, key: tuple[str, ...] = ("id",), table: str = "public.q", oid: int = 7) -> Catalog:
    given = {c.name: c for c in BEFORE} | {c.name: c for c in columns}
    placed = {
        n: Column(c.name, c.type, c.nullable, c.collation, c.identity or f"{oid}.{i}")
        for i, (n, c) in enumerate(given.items())
    }
    return Catalog.of("postgres", Table(table, placed, key))


BEFORE = (
    Column("id", "integer", nullable=False),
    Column("n", "numeric(18,4)", nullable=False),
    Column("t", "character varying(20)"),
)


def without(name: str, new: Catalog) -> Catalog:
    (table,) = new.tables.values()
    return Catalog.of("postgres", Table(table.name, {n: c for n, c in table.columns.items() if n != name}, ("id",)))


@pytest.mark.parametrize(
    "now",
    [
        catalog(Column("id", "bigint", nullable=False)),
        catalog(Column("n", "numeric(20,6)", nullable=False)),
        catalog(Column("t", "text")),
        catalog(Column("t", "character varying(40)", nullable=False)),
        catalog(Column("more", "integer")),
    ],
)
def test_harmless(now: Catalog) -> None:
    assert differences(catalog(), now, READ) == []


@pytest.mark.parametrize(
    ("now", "says", "stale"),
    [
        (without("n", catalog()), "column public.q.n is gone: it was dropped", True),
        (without("n", catalog(Column("m", "numeric(18,4)", identity="7.1"))), "or rather renamed to m", True),
        (catalog(table="public.old"), "table public.q is gone", True),
        (catalog(oid=8), "table public.q is another table", True),
        (catalog(Column("n", "numeric(18,4)", nullable=False, identity="7.9")), "n is another column", True),
        (catalog(Column("n", "numeric(18,2)", nullable=False)), "was numeric(18,4) and is numeric(18,2)", True),
        (catalog(Column("n", "double precision", nullable=False)), "is double precision", True),
        (catalog(Column("id", "numeric(9,0)", nullable=False)), "was integer and is numeric(9,0)", True),
        (catalog(Column("t", "character(20)")), "is character(20)", True),
        (catalog(Column("t", "character varying(20)", collation="C")), "collation was default and is C", False),
        (catalog(Column("n", "numeric(18,4)")), "column public.q.n may be NULL now", False),
        (catalog(key=("id", "n")), "its primary key was id and is id, n", True),
    ],
)
def test_what_is_told(now: Catalog, says: str, stale: bool) -> None:
    (found,) = differences(catalog(), now, READ)
    assert says in found.what
    assert (found.table, found.stale) == ("public.q", stale)


def test_what_is_not_read_is_nobodys_business() -> None:
    now = catalog(Column("t", "integer", identity="7.9"))
    assert differences(catalog(), now, {"public.q": ("id", "n")}) == []
