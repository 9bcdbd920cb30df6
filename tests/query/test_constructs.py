"""Every construct in every dialect: what the engine yields, and that PostgreSQL and MariaDB yield the same."""

import datetime
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pymysql
import pytest

from pipeline.domain.errors import PackError
from pipeline.query import Engine, MappingText, compile_source
from tests.query.constructs import CASES, COLUMNS, DIALECTS, TODAY, Case, sql_of
from tests.query.schemas import catalog_of

ACCEPTED = [(c, d) for c in CASES for d in c.spellings if d not in c.refusals]
REFUSED = [(c, d) for c in CASES for d in c.refusals]
CATALOGS = {d: catalog_of(f"CREATE TABLE q ({COLUMNS[d]})", d) for d in DIALECTS}


def engine_of(case: Case, dialect: str) -> Engine:
    text = MappingText("stock", sql_of(case, dialect), "stock.sql")
    return compile_source([text], CATALOGS[dialect], {}, today=TODAY)


def groups_of(engine: Engine, case: Case, dialect: str) -> list[Any]:
    (table,) = engine.tables.values()
    row = {c: ({"id": 1} | case.row).get(c.lower()) for c in engine.captured[table.name]}
    # MySQL's flag is a number, which a test writes as a truth all the same.
    if dialect == "mysql" and "f" in row and row["f"] is not None:
        row["f"] = int(row["f"])
    if dialect == "mysql":  # which gives a CHAR without its padding
        row |= {c: row[c].rstrip(" ") for c in ("c", "c8") if row.get(c) is not None}
    table.upsert(msgspec.convert(row, table.row_type))
    return list(engine.views["stock"].groups())


def ids(pairs: list[tuple[Case, str]]) -> list[str]:
    return [f"{d}: {c.construct}" for c, d in pairs]


@pytest.mark.parametrize(("case", "dialect"), ACCEPTED, ids=ids(ACCEPTED))
def test_value(case: Case, dialect: str) -> None:
    engine = engine_of(case, dialect)
    groups = groups_of(engine, case, dialect)
    if case.place == "where":
        assert bool(groups) is case.expected
        return
    ((key, _, sums),) = groups
    got = key[0] if case.place == "item" else (sums[0], engine.views["stock"].amounts[0].scale)
    expected = case.expected
    if isinstance(expected, str) and dialect == "oracle" and case.construct == "date of a timestamp":
        got = got[:10]
    assert got == expected


@pytest.mark.parametrize(("case", "dialect"), REFUSED, ids=ids(REFUSED))
def test_refusal(case: Case, dialect: str) -> None:
    with pytest.raises(PackError) as refused:
        engine_of(case, dialect)
    assert case.refusals[dialect].lower() in refused.value.what.lower()
    assert refused.value.where.startswith("stock.sql:1:")
    assert refused.value.fix


def test_no_construct_is_forgotten_in_a_dialect() -> None:
    """A construct that only some dialects have says so in a case of its own; every dialect has most of them."""
    for dialect in DIALECTS:
        assert sum(dialect in c.spellings for c in CASES) > 100, dialect


# ---- the same on the real databases


@pytest.fixture(scope="module")
def postgresql(postgres) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA constructs")
        connection.execute("SET search_path TO constructs")
        connection.execute(f"CREATE TABLE q ({COLUMNS['postgres']})")
        yield connection
        connection.execute("DROP SCHEMA constructs CASCADE")


@pytest.fixture(scope="module")
def mysql(mariadb) -> Iterator[pymysql.connections.Connection]:
    with pymysql.connect(user="root", unix_socket=mariadb.socket, charset="utf8mb4", autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE constructs")
        cursor.execute("USE constructs")
        cursor.execute(f"CREATE TABLE q ({COLUMNS['mysql']})")
        cursor.execute(f"SET timestamp = UNIX_TIMESTAMP('{TODAY} 12:00:00')")
        yield connection
        cursor.execute("DROP DATABASE constructs")


def fill(cursor: Any, row: dict[str, Any]) -> None:
    cursor.execute("DELETE FROM q")
    row = {"id": 1} | row
    cursor.execute(f"INSERT INTO q ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))


def assert_answers(case: Case, dialect: str, cursor: Any, sql: str) -> None:
    engine = engine_of(case, dialect)
    view = engine.views["stock"]
    fill(cursor, case.row)
    cursor.execute(sql)
    answer = [view.from_erp(row) for row in cursor.fetchall()]
    ours = groups_of(engine, case, dialect)
    if view.amounts[0].approx:
        assert [g[:2] for g in ours] == [g[:2] for g in answer]
        assert all(abs(a[2][0] - b[2][0]) <= 1000 for a, b in zip(ours, answer, strict=True))
    else:
        assert ours == answer


ON_POSTGRES = [c for c, d in ACCEPTED if d == "postgres"]
ON_MYSQL = [c for c, d in ACCEPTED if d == "mysql"]


@pytest.mark.parametrize("case", ON_POSTGRES, ids=[c.construct for c in ON_POSTGRES])
def test_postgresql_answers_the_same(case: Case, postgresql: psycopg.Connection[Any]) -> None:
    sql = engine_of(case, "postgres").views["stock"].erp_sql().replace("CURRENT_DATE", f"DATE '{TODAY}'")
    with postgresql.cursor() as cursor:
        assert_answers(case, "postgres", cursor, sql.replace("%", "%%"))


@pytest.mark.parametrize("case", ON_MYSQL, ids=[c.construct for c in ON_MYSQL])
def test_mariadb_answers_the_same(case: Case, mysql: pymysql.connections.Connection) -> None:
    with mysql.cursor() as cursor:
        assert_answers(case, "mysql", cursor, engine_of(case, "mysql").views["stock"].erp_sql())


def test_the_day_stands_still_on_mariadb(mysql: pymysql.connections.Connection) -> None:
    with mysql.cursor() as cursor:
        cursor.execute("SELECT CURRENT_DATE")
        assert cursor.fetchone() == (datetime.date.fromisoformat(TODAY),)
