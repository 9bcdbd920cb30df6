"""A schema in each dialect's words becomes a catalog, or is refused with its place."""

# ruff: noqa: E501 -- statements stand on one line

import pytest

from pipeline.domain.errors import PackError
from pipeline.query import catalog_of
from pipeline.query.types import column_type

POSTGRES = """
CREATE TABLE public.Article (id integer NOT NULL, "Lot no" character varying(40) COLLATE "C" DEFAULT 'x'::character varying,
  q numeric(18,4), other int REFERENCES x (id), CONSTRAINT u UNIQUE (q), CHECK (q > 0));
ALTER TABLE ONLY public.article ADD CONSTRAINT article_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX a ON public.article USING btree (q, "Lot no");
CREATE UNIQUE INDEX b ON article (lower("Lot no"));
CREATE UNIQUE INDEX c ON article (q) WHERE q > 0;
CREATE INDEX d ON article (q);
"""


def test_a_dump_of_postgresql():
    (table,) = catalog_of(POSTGRES, "postgres").tables.values()
    assert (table.name, table.primary_key, table.unique) == ("public.article", ("id",), (("q",), ("q", "Lot no")))
    assert [(c.name, c.nullable, c.collation) for c in table.columns.values()] == [
        ("id", False, None),
        ("Lot no", True, "C"),
        ("q", True, None),
        ("other", True, None),
    ]


@pytest.mark.parametrize(
    ("dialect", "ddl", "name", "key", "unique"),
    [
        ("mysql", "CREATE TABLE `a b` (`id` int(11) NOT NULL AUTO_INCREMENT, `c` varchar(9), PRIMARY KEY (`id`), UNIQUE KEY `u` (`c`), KEY `k` (`c`)) ENGINE=InnoDB;",
         "erp.a b", ("id",), (("c",),)),
        ("tsql", "CREATE TABLE [dbo].[T] ([Id] int IDENTITY(1,1) NOT NULL, [n] nvarchar(9) NULL, CONSTRAINT [PK] PRIMARY KEY CLUSTERED ([id] ASC), CONSTRAINT [U] UNIQUE NONCLUSTERED ([n] ASC))\nGO\n",
         "dbo.T", ("Id",), (("n",),)),
        ("oracle", "CREATE TABLE T (ID NUMBER(10) NOT NULL, C VARCHAR2(10), D DATE, CONSTRAINT P PRIMARY KEY (id, c)); CREATE UNIQUE INDEX u ON t (d)",
         "ERP.T", ("ID", "C"), None),
    ],
)  # fmt: skip
def test_other_dialects(dialect, ddl, name, key, unique):
    if unique is None:
        with pytest.raises(PackError, match=r"ERP\.t is not created before this"):
            catalog_of(ddl, dialect)
        ddl = ddl.replace("ON t", "ON T")
        unique = (("D",),)
    (table,) = catalog_of(ddl, dialect).tables.values()
    assert (table.name, table.primary_key, table.unique) == (name, key, unique)
    assert not any(table.columns[c].nullable for c in key)


@pytest.mark.parametrize(
    ("ddl", "place", "says"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY);\n  DROP TABLE t;", ":2:3", "not a statement of a schema"),
        ("CREATE TABLE t AS SELECT 1", ":1:1", "not a statement of a schema"),
        ("SET search_path = x;", ":1:1", "not a statement of a schema"),
        ("CREATE TABLE t (id int,\n  n numeric(10);", ":2:", "cannot be read"),
        ("CREATE TABLE t (id int,\n PRIMARY KEY (idd));", ":1:1", "names idd, which it has not"),
        ("CREATE TABLE t (id int);\nCREATE TABLE t (id int)", ":2:1", "created twice"),
        ("CREATE TABLE t (id int,\n  id text)", ":2:3", "stands twice"),
        ("CREATE TABLE t (LIKE x)", ":1:22", "not a part of a table"),
        ("ALTER TABLE t ADD PRIMARY KEY (id)", ":1:1", "not created before"),
        ("CREATE TABLE t (id int);\nALTER TABLE t ADD COLUMN x int", ":2:1", "only ALTER TABLE"),
        ("CREATE TABLE t (id int 'x", "", "ends inside a quote"),
    ],
)
def test_what_cannot_be_read(ddl, place, says):
    with pytest.raises(PackError) as refused:
        catalog_of(ddl, "postgres", file="s.sql")
    assert refused.value.where.startswith(f"s.sql{place}")
    assert says in refused.value.what
    assert refused.value.fix


@pytest.mark.parametrize(
    ("declared", "kind"), [("numeric({})", "other"), ("varchar({})", "text"), ("numeric(9,{})", "other")]
)
def test_a_size_without_end(declared: str, kind: str) -> None:
    catalog = catalog_of(f"CREATE TABLE t (id int PRIMARY KEY, n {declared.format('9' * 5000)})", "postgres")
    (table,) = catalog.tables.values()
    assert column_type(table.columns["n"], "postgres").kind == kind


def test_a_statement_nested_without_end_is_refused() -> None:
    with pytest.raises(PackError, match="nested too deeply"):
        catalog_of(f"CREATE TABLE t (id int CHECK {'(' * 3000}", "postgres", file="s.sql")
