"""The ERP's catalog and its own answer, asked as a role that may read little."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from infra.stack.postgres import Postgres
from pipeline.adapters import erp
from pipeline.domain.catalog import Column
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.settings import Source

SCHEMA = """
CREATE DOMAIN quantity AS numeric(12,3);
CREATE TABLE item (id int PRIMARY KEY, code varchar(20) COLLATE "C" NOT NULL UNIQUE,
                   price double precision, q quantity);
CREATE TABLE place (a int, b text, c text, PRIMARY KEY (b, a));
CREATE UNIQUE INDEX ON place (c) WHERE a > 0;
CREATE UNIQUE INDEX ON place (lower(c));
CREATE UNIQUE INDEX ON place (c, a) INCLUDE (b);
CREATE VIEW seen AS SELECT * FROM item;
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.hidden (id int);
INSERT INTO item VALUES (1, '50%', 1.5, 2), (2, 'B', 2.5, 3);
GRANT SELECT (id, code) ON item TO erp_reader;
"""


@pytest.fixture(scope="module")
def source(postgres: Postgres) -> Iterator[Source]:
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        admin.execute("CREATE DATABASE erp_adapter")
        admin.execute("CREATE ROLE erp_reader LOGIN PASSWORD 'reader'")
    with psycopg.connect(postgres.url("erp_adapter"), autocommit=True) as admin:
        admin.execute(SCHEMA)
    url = postgres.url("erp_adapter", user="erp_reader")
    return Source(name="erp", pack="p", database=url, password="reader", time_zone="Pacific/Kiritimati")


class Query:
    """A view over any SQL."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def erp_sql(self) -> str:
        return self.sql

    def from_erp(self, row: Any) -> erp.Group:
        return tuple(row), 1, ()


def test_the_catalog_as_far_as_queries_need_it(source: Source) -> None:
    catalog = erp.inspect(source)
    assert set(catalog.tables) == {"public.item", "public.place"}
    assert list(catalog.tables["public.item"].columns.values()) == [
        Column("id", "integer", nullable=False),
        Column("code", "character varying(20)", nullable=False, collation="C"),
        Column("price", "double precision"),
        Column("q", "numeric(12,3)"),
    ]
    assert catalog.tables["public.item"].unique == (("code",),)
    assert catalog.tables["public.place"].primary_key == ("b", "a")
    assert catalog.tables["public.place"].unique == (("c", "a"),)
    assert set(erp.inspect(source, ["public.item"]).tables) == {"public.item"}
    assert not erp.inspect(source, ["public.nothing"]).tables


def test_a_per_cent_sign_is_only_itself(source: Source) -> None:
    assert erp.read_groups(source, Query("SELECT code, 7 % 4 FROM item WHERE code LIKE '%\\%'")) == [
        (("50%", 3), 1, ())
    ]


def test_the_answer_is_one_read_only_cut_in_the_sources_time_zone(source: Source) -> None:
    names = ("transaction_isolation", "transaction_read_only", "TimeZone")
    asked = Query("SELECT " + ", ".join(f"current_setting('{n}')" for n in names))
    assert erp.read_groups(source, asked) == [(("repeatable read", "on", "Pacific/Kiritimati"), 1, ())]


def test_a_mark_lies_behind_what_was_committed_before_it(source: Source, postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        ask = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        (before,) = admin.execute(ask).fetchone() or (0,)
        mark = erp.mark(source, "test")
        (after,) = admin.execute(ask).fetchone() or (0,)
    assert before <= mark <= after


def test_a_missing_right_is_told_and_a_value_is_not(source: Source) -> None:
    with pytest.raises(RefusedError, match="permission denied for table item"):
        erp.read_groups(source, Query("SELECT price FROM item"))
    with pytest.raises(RefusedError, match="SQLSTATE 22P02") as refused:
        erp.read_groups(source, Query("SELECT CAST(code AS int) FROM item"))
    assert "50%" not in str(refused.value)


def test_wrong_addresses(source: Source, postgres: Postgres) -> None:
    def at(url: str) -> Source:
        return source.model_copy(update={"database": url})

    with pytest.raises(NotReadyError, match="Connection refused"):
        erp.inspect(at("postgresql://erp_reader@127.0.0.1:1/erp"))
    with pytest.raises(NotReadyError, match='database "nope" does not exist'):
        erp.inspect(at(postgres.url("nope", user="erp_reader")))
    with pytest.raises(NotReadyError, match=r"(?s)password authentication failed.*password_file"):
        erp.inspect(at(postgres.url("erp_adapter", user="stranger")))
