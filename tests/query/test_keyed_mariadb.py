"""A query asked of MariaDB for some items only says of them what the whole query says."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pymysql
import pytest

from infra.stack.mariadb import Mariadb
from pipeline.query import MappingText, compile_source
from pipeline.query.keyed import Items, keyed, slot
from tests.query.schemas import catalog_of
from tests.query.test_keyed import ROUNDS, check, some

DDL = """CREATE TABLE quant (id int PRIMARY KEY, item_id int, place_id int, lot varchar(9), quantity decimal(18,4));
         CREATE TABLE item (id int PRIMARY KEY, code varchar(20));
         CREATE TABLE place (id int PRIMARY KEY, code varchar(20), warehouse char(3) NOT NULL)"""
SQL = """SELECT q.item_id, i.code AS item, p.warehouse AS warehouse, p.code AS location, q.lot, q.quantity AS on_hand
         FROM quant q LEFT JOIN item i ON i.id = q.item_id JOIN place p ON p.id = q.place_id WHERE p.code <> 'z'
         UNION ALL SELECT i.id + 100, CONCAT('of ', i.code), 'NONE', NULL, NULL, NULL FROM item i"""
IDS = (1, 2, 3, 4, 5, None, 9)
AMOUNTS = (None, "0.0000", "-2.5000", "12345678901234.5678")
TEXTS = (None, "", "A", "b ", "x'y", "é", "日本", "50%", "a\\b")
ROWS = {
    "quant": {"item_id": IDS, "place_id": IDS, "lot": TEXTS, "quantity": AMOUNTS},
    "item": {"code": TEXTS},
    "place": {"code": TEXTS, "warehouse": ("A", "BC")},
}


@pytest.fixture
def ask(mariadb: Mariadb) -> Iterator[Any]:
    with pymysql.connect(unix_socket=mariadb.socket, user="root", autocommit=True) as connection:
        cursor = connection.cursor()

        def ask(sql: str, bound: Any = None) -> list[Any]:
            cursor.execute(sql.replace("`erp`.", ""), bound)  # where the tables' DDL puts them
            return list(cursor.fetchall())

        for statement in ("CREATE DATABASE keyed", "USE keyed", *DDL.split(";")):
            ask(statement)
        yield ask
        ask("DROP DATABASE keyed")


def fill(ask: Any, rng: Random) -> None:
    for table, columns in ROWS.items():
        ask(f"DELETE FROM {table}")
        for i in range(1, 13):
            values = [i, *(rng.choice(choices) for choices in columns.values())]
            ask(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(values))})", values)


def test_some_items_are_what_they_are_in_the_whole(ask: Any) -> None:
    rng, seen = Random(7), 0
    catalog, text = catalog_of(DDL, "mysql"), MappingText("stock", SQL, "stock.sql")
    view = compile_source([text], catalog, {}).views["stock"]
    for _ in range(ROUNDS):
        fill(ask, rng)
        whole = [view.from_erp(row) for row in ask(view.erp_sql())]
        check(view, keyed(text, catalog, {}), ask, whole, some(view, whole, rng))
        seen += len(whole) > 3
    assert seen == ROUNDS


def test_a_slot_is_the_same_in_sql(ask: Any) -> None:
    ask("CREATE TABLE q (item varchar(90) PRIMARY KEY, n int)")
    catalog = catalog_of("CREATE TABLE q (item varchar(90) PRIMARY KEY, n int)", "mysql")
    (branch,) = keyed(MappingText("stock", "SELECT item, 'W' AS warehouse, n AS on_hand FROM q", "s.sql"), catalog, {})
    codes = ["A", "Ä 1", "螺栓", "x'y", "50%", "A-" * 40]
    for code in codes:
        ask("INSERT INTO q VALUES (%s, 1)", [f"{code}\t "])
    for code in codes:
        found = ask(branch.groups(Items(slots=(slot(code), slot(code) + 1))))
        assert [row[0].rstrip() for row in found] == [code]
