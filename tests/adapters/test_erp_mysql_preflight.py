"""What MariaDB lacks to be captured is named, with the SQL that mends it."""

from collections.abc import Iterator

import pymysql
import pytest
import sqlalchemy as sa

from infra.stack.mariadb import Mariadb
from pipeline.adapters import erp_mysql, erp_mysql_preflight
from pipeline.domain.catalog import Catalog

SCHEMA = """CREATE DATABASE mysql_preflight
CREATE TABLE mysql_preflight.item (id int PRIMARY KEY, code varchar(9))
CREATE TABLE mysql_preflight.loose (id int)
CREATE USER captures@'127.0.0.1' IDENTIFIED BY 'captures'
GRANT SELECT ON mysql_preflight.* TO captures@'127.0.0.1'"""
CAPTURED = {"mysql_preflight.item": ("id",), "mysql_preflight.loose": ("id",)}


@pytest.fixture
def admin(mariadb: Mariadb) -> Iterator[pymysql.cursors.Cursor]:
    with pymysql.connect(unix_socket=mariadb.socket, user="root", autocommit=True) as connection:
        cursor = connection.cursor()
        for statement in SCHEMA.split("\n"):
            cursor.execute(statement)
        yield cursor
        for statement in ("DROP DATABASE mysql_preflight", "DROP USER captures@'127.0.0.1'"):
            cursor.execute(statement)


def asked(mariadb: Mariadb) -> tuple[Catalog, list[erp_mysql_preflight.Lack], list[str]]:
    url = f"mysql+pymysql://captures:captures@{mariadb.host}:{mariadb.port}/mysql_preflight"
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as c:
        catalog = erp_mysql.inspect(c)
        return catalog, erp_mysql_preflight.lacks(c, catalog, CAPTURED), erp_mysql_preflight.warnings(c)


def test_rights_and_keys_that_are_missing_with_what_mends_them(mariadb: Mariadb, admin: pymysql.cursors.Cursor) -> None:
    _, lacks, _ = asked(mariadb)
    rights, key = lacks
    assert rights.what == "captures lacks the right RELOAD, REPLICATION SLAVE, BINLOG MONITOR"
    assert key.what.startswith("table mysql_preflight.loose has no primary key")
    admin.execute(rights.fix.rstrip(";"))
    admin.execute(key.fix.replace("(..);", "(id)"))
    assert asked(mariadb)[1] == []


def test_a_binlog_that_does_not_say_all_is_refused(mariadb: Mariadb, admin: pymysql.cursors.Cursor) -> None:
    admin.execute("SET GLOBAL binlog_format = 'STATEMENT'")
    admin.execute("SET GLOBAL binlog_row_image = 'MINIMAL'")
    admin.execute("SET GLOBAL binlog_expire_logs_seconds = 3600")
    try:
        _, lacks, warnings = asked(mariadb)
    finally:
        admin.execute("SET GLOBAL binlog_format = 'ROW'")
        admin.execute("SET GLOBAL binlog_row_image = 'FULL'")
        admin.execute("SET GLOBAL binlog_expire_logs_seconds = DEFAULT")
    assert [lack.what for lack in lacks[:2]] == [
        "binlog_format is STATEMENT, not ROW",
        "binlog_row_image is MINIMAL, not FULL",
    ]
    assert warnings == ["the binlog is kept for 1 h: capture that stands still longer needs a new snapshot"]
