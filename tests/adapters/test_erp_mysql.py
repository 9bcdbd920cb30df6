"""MariaDB's catalog, asked as a role that may read little."""

import math
from collections.abc import Iterator

import pymysql
import pytest
import sqlalchemy as sa

from infra.stack.mariadb import Mariadb
from pipeline.adapters import erp_mysql
from pipeline.domain.catalog import Catalog, Column
from pipeline.domain.errors import RefusedError
from pipeline.query import MappingText, compile_source

SCHEMA = """
CREATE DATABASE mysql_catalog COLLATE utf8mb4_unicode_ci;
USE mysql_catalog;
CREATE TABLE item (
  id int unsigned NOT NULL, code varchar(20) NOT NULL, `Exact` varchar(9) COLLATE utf8mb4_bin,
  old char(3) CHARSET latin1,
  q decimal(12,3), flag bit, yes bool, price double, made datetime(3), hidden int INVISIBLE,
  more int AS (id + 1) STORED, place point, address inet6,
  PRIMARY KEY (id), UNIQUE KEY (code(3)), UNIQUE KEY (code, old), UNIQUE KEY (`Exact`), KEY (q));
CREATE TABLE pair (b varchar(5), a int, c int NOT NULL, PRIMARY KEY (b, a), UNIQUE KEY (c)) COLLATE utf8mb4_nopad_bin;
CREATE TABLE loose (a int);
CREATE TABLE closed (id int PRIMARY KEY);
CREATE VIEW seen AS SELECT * FROM item;
CREATE USER reader_of_catalog@'127.0.0.1' IDENTIFIED BY 'reader';
GRANT SELECT ON mysql_catalog.item TO reader_of_catalog@'127.0.0.1';
GRANT SELECT ON mysql_catalog.pair TO reader_of_catalog@'127.0.0.1';
GRANT SELECT ON mysql_catalog.loose TO reader_of_catalog@'127.0.0.1';
GRANT SELECT ON mysql_catalog.seen TO reader_of_catalog@'127.0.0.1';
"""


@pytest.fixture(scope="module")
def admin(mariadb: Mariadb) -> Iterator[pymysql.connections.Connection]:
    with pymysql.connect(unix_socket=mariadb.socket, user="root", autocommit=True) as admin:
        for statement in SCHEMA.split(";\n"):
            if statement:
                admin.cursor().execute(statement)
        yield admin


@pytest.fixture
def reader(mariadb: Mariadb, admin: pymysql.connections.Connection) -> Iterator[sa.Connection]:
    url = f"mysql+pymysql://reader_of_catalog:reader@{mariadb.host}:{mariadb.port}/mysql_catalog"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def catalog(reader: sa.Connection) -> Catalog:
    return erp_mysql.inspect(reader)


def test_tables_are_those_the_role_may_read_without_views(catalog: Catalog) -> None:
    assert catalog.dialect == "mysql"
    assert set(catalog.tables) == {f"mysql_catalog.{name}" for name in ("item", "pair", "loose")}


def test_columns_in_the_databases_own_spelling_with_the_collation_that_holds(catalog: Catalog) -> None:
    columns = catalog.tables["mysql_catalog.item"].columns
    assert list(columns.values()) == [
        Column("id", "int(10) unsigned", nullable=False),
        Column("code", "varchar(20)", nullable=False, collation="utf8mb4_unicode_ci"),
        Column("Exact", "varchar(9)", collation="utf8mb4_bin"),
        Column("old", "char(3)", collation="latin1_swedish_ci"),
        Column("q", "decimal(12,3)"),
        Column("flag", "bit(1)"),
        Column("yes", "tinyint(1)"),
        Column("price", "double"),
        Column("made", "datetime(3)"),
        Column("hidden", "int(11)"),
        Column("more", "int(11)"),
        Column("place", "point"),
        Column("address", "inet6"),
    ]
    assert catalog.tables["mysql_catalog.pair"].columns["b"].collation == "utf8mb4_nopad_bin"


def test_a_key_is_one_of_whole_columns(catalog: Catalog) -> None:
    item, pair = catalog.tables["mysql_catalog.item"], catalog.tables["mysql_catalog.pair"]
    assert item.primary_key == ("id",)
    assert set(item.unique) == {("code", "old"), ("Exact",)}
    assert (pair.primary_key, pair.unique) == (("b", "a"), (("c",),))
    assert catalog.tables["mysql_catalog.loose"].primary_key == ()


def test_only_the_tables_asked_for(reader: sa.Connection) -> None:
    assert set(erp_mysql.inspect(reader, ["mysql_catalog.pair", "mysql_catalog.nothing"]).tables) == {
        "mysql_catalog.pair"
    }


def test_a_mapping_compiles_against_it(catalog: Catalog) -> None:
    sql = """SELECT i.Exact AS item, p.b AS warehouse, i.q AS on_hand
             FROM item i JOIN pair p ON p.c = i.hidden WHERE i.flag AND i.yes"""
    engine = compile_source([MappingText("stock", sql, "stock.sql")], catalog, {})
    assert engine.captured["mysql_catalog.item"] == ("id", "Exact", "q", "flag", "yes", "hidden")


def test_a_role_that_sees_half_a_key_is_told(reader: sa.Connection, admin: pymysql.connections.Connection) -> None:
    admin.cursor().execute("CREATE TABLE half (a int, b int, PRIMARY KEY (a, b))")
    admin.cursor().execute("GRANT SELECT (a) ON half TO reader_of_catalog@'127.0.0.1'")
    with pytest.raises(RefusedError, match=r"(?s)some columns of mysql_catalog.half only.*GRANT SELECT ON"):
        erp_mysql.inspect(reader)
    assert set(erp_mysql.inspect(reader, ["mysql_catalog.pair"]).tables) == {"mysql_catalog.pair"}
    admin.cursor().execute("DROP TABLE half")


@pytest.mark.parametrize(("set_to", "seconds"), [(0, math.inf), (3600, 3600)])
def test_how_long_the_server_keeps_its_log(
    admin: pymysql.connections.Connection, mariadb: Mariadb, set_to: int, seconds: float
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("SET GLOBAL binlog_expire_logs_seconds = %s", (set_to,))
    engine = sa.create_engine("mysql+pymysql://root@localhost", connect_args={"unix_socket": mariadb.socket})
    try:
        with engine.connect() as c:
            assert erp_mysql.log_kept_s(c) == seconds
    finally:
        engine.dispose()
        with admin.cursor() as cursor:
            cursor.execute("SET GLOBAL binlog_expire_logs_seconds = 0")
