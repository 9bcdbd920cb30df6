"""A query asked for some items only says of them what the whole query says."""

# ruff: noqa: E501 -- one line a column list, as in the SQL beside it

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg
import pytest

from pipeline.query import MappingText, View, compile_source
from pipeline.query.keyed import SLOTS, Items, KeyedBranch, added, keyed, slot
from tests.query.schemas import PACKS, catalog_of, pack

ROUNDS = 6
TODAY = "2026-11-22"
IDS = tuple(range(1, 9))
REFS = (*IDS, *IDS, 9, None)
TEXTS = (None, "", " ", "A", "a", "B ", "x'y", "é", "日本")
QUANTITIES = (None, "0.0000", "1.0000", "-2.5000", "12345678901234.5678")
DATES = (None, "2026-11-22", "2026-11-23", "1999-12-31")
STATES = ("done", "done", "assigned", "draft", None)


@dataclass(frozen=True)
class Mapping:
    """Tables, queries over them, and what each column's values are drawn from; columns named here only."""

    name: str
    ddl: str
    queries: dict[str, str]
    rows: dict[str, dict[str, tuple[Any, ...]]]
    params: dict[str, Any] = field(default_factory=dict)


MAPPINGS = (
    Mapping(
        "ids with codes of a joined table",
        """CREATE TABLE quant (id int PRIMARY KEY, item_id int, place_id int, lot varchar, quantity numeric(18,4));
           CREATE TABLE item (id int PRIMARY KEY, code text);
           CREATE TABLE place (id int PRIMARY KEY, code text, warehouse char(3) NOT NULL)""",
        {
            "stock": """SELECT q.item_id, i.code AS item, p.warehouse AS warehouse, p.code AS location, q.lot, q.quantity AS on_hand
                        FROM quant q LEFT JOIN item i ON i.id = q.item_id JOIN place p ON p.id = q.place_id WHERE p.code <> 'a'"""
        },
        {
            "quant": {"item_id": REFS, "place_id": REFS, "lot": TEXTS, "quantity": QUANTITIES},
            "item": {"code": TEXTS},
            "place": {"code": TEXTS, "warehouse": ("A  ", "BC ")},
        },
    ),
    Mapping(
        "codes of a joined table, by a unique key with a condition, numbers as codes",
        """CREATE TABLE fact (id int PRIMARY KEY, code text, n int, q numeric, open boolean);
           CREATE TABLE mid (id int PRIMARY KEY, code text UNIQUE, number bigint, active boolean)""",
        {
            "stock": """SELECT m.number AS item, CASE WHEN f.open THEN 'open' ELSE f.code END AS warehouse, f.q * 2 - f.n AS on_hand
                        FROM fact f LEFT JOIN mid m ON m.code = f.code AND (m.active OR f.n > 3)""",
            "items": "SELECT m.code AS item, m.id AS max_stock FROM mid m WHERE m.active",
        },
        {
            "fact": {"code": TEXTS, "n": (None, *IDS), "q": (None, "1", "2.50"), "open": (None, True, False)},
            "mid": {"code": ("A", "a", "B ", "", "x'y", "é", None, None), "number": (None, 0, 1, 2, -3), "active": (True, False)},
        },
    ),
    Mapping(
        "UNION ALL in WITH, NULLs and constants in an arm, today",
        """CREATE TABLE head (id int PRIMARY KEY, state text, day date, ref int);
           CREATE TABLE body (id int PRIMARY KEY, head int, item text, q numeric(10,2))""",
        {
            "stock": """WITH m AS (
                          SELECT b.item, h.state, b.q, h.day FROM body b JOIN head h ON h.id = b.head WHERE h.state IN ('done', 'draft')
                          UNION ALL SELECT b.item, NULL, -b.q, NULL FROM body b)
                        SELECT m.item, m.state AS warehouse, m.day AS expiry, m.q AS on_hand, NULL AS reserved FROM m
                        UNION ALL SELECT h.state, 'heads', NULL, h.ref, 1 FROM head h WHERE h.day <= CURRENT_DATE AND h.state <> :state"""
        },
        {"head": {"state": STATES, "day": DATES, "ref": REFS}, "body": {"head": REFS, "item": TEXTS, "q": (None, "1.00", "-2.25")}},
        {"state": "x'y"},
    ),
    Mapping(
        "Tryton",
        (PACKS / "tryton8" / "schema.sql").read_text(),
        {kind: (PACKS / "tryton8" / f"{kind}.sql").read_text() for kind in ("stock", "orders", "movements", "items")},
        {
            "stock_move": {
                "state": STATES, "product": REFS, "lot": REFS, "from_location": REFS, "to_location": REFS, "internal_quantity": (0.1, 2.5),
                "effective_date": DATES, "planned_date": DATES, "production_input": REFS, "production_output": REFS, "company": (1, 1, 2),
                "shipment": TEXTS, "origin": TEXTS,
            },
            "stock_location": {"type": ("storage", "storage", "warehouse", "customer"), "parent": REFS, "code": TEXTS},
            "stock_lot": {"number": TEXTS},
            "product_product": {"code": TEXTS, "template": REFS, "active": (True, False)},
            "product_template": {"name": TEXTS, "default_uom": REFS, "active": (True, False)},
            "product_uom": {"symbol": TEXTS},
            "production": {"number": TEXTS, "state": STATES, "product": REFS, "warehouse": REFS, "company": (1, 2), "planned_start_date": DATES},
            "stock_order_point": {"product": REFS, "type": ("purchase",), "warehouse_location": REFS, "min_quantity": (1.5,), "company": (1,)},
        },
        {"orgs": [1]},
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def connection(postgres):
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE keyed")
    with psycopg.connect(postgres.url("keyed"), autocommit=True) as connection:
        yield connection


def fill(connection: Any, mapping: Mapping, rng: Random) -> None:
    for statement in mapping.ddl.split(";"):
        connection.execute(statement)
    for table, columns in mapping.rows.items():
        rows = [{c: rng.choice(choices) for c, choices in columns.items()} | {"id": i} for i in range(1, 13)]
        if table == "mid":  # its code is unique
            rows = [row | {"code": code} for row, code in zip(rows, columns["code"], strict=False)]
        sql = f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)"
        connection.execute(sql, [json.dumps(rows)])


def shown(value: Any) -> str:
    return "" if value is None else str(value).rstrip()


def named(view: View, key: tuple[Any, ...]) -> tuple[str, str]:
    """(code, id) of a result row's item."""
    label = view.keys.index("item" if "item" in view.keys else "item_id")
    return shown(key[label]), str(key[view.keys.index("item_id")] or "") if "item_id" in view.keys else ""


def some(view: View, answer: list[Any], rng: Random) -> Items:
    chosen = [named(view, key) for key, _, _ in answer if rng.random() < 0.5]
    return Items(frozenset([c for c, _ in chosen if c] + ["nobody's"]), frozenset(i for c, i in chosen if i and not c))


def same(view: View, ours: list[Any], theirs: list[Any], where: str) -> None:
    mine, erps = ({key: (count, sums) for key, count, sums in groups} for groups in (added(ours), theirs))
    assert mine.keys() == erps.keys(), where
    for key, (count, sums) in mine.items():
        assert count == erps[key][0], (where, key)
        for amount, a, b in zip(view.amounts, sums, erps[key][1], strict=True):
            assert abs(a - b) <= (10**amount.scale // 10**6 if amount.approx else 0), (where, key, amount.name)


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: m.name)
def test_some_items_are_what_they_are_in_the_whole(mapping: Mapping, connection: Any) -> None:
    rng, seen = Random(mapping.name), Counter[str]()
    catalog = catalog_of(mapping.ddl, "postgres")
    texts = [MappingText(kind, sql, f"{kind}.sql") for kind, sql in mapping.queries.items()]
    views = compile_source(texts, catalog, mapping.params).views
    branches = {text.kind: keyed(text, catalog, mapping.params) for text in texts}
    for _ in range(ROUNDS):
        with connection.transaction(force_rollback=True):
            fill(connection, mapping, rng)
            ask = lambda sql: connection.execute(sql.replace("CURRENT_DATE", f"DATE '{TODAY}'")).fetchall()  # noqa: E731
            for kind, view in views.items():
                whole = [view.from_erp(row) for row in ask(view.erp_sql())]
                check(view, branches[kind], ask, whole, some(view, whole, rng))
                seen[kind] += len(whole) > 1
    assert all(n > ROUNDS / 3 for n in seen.values()), seen


def check(view: View, branches: list[KeyedBranch], ask: Any, whole: list[Any], items: Items) -> None:
    wanted = [g for g in whole if named(view, g[0]) in items]
    same(view, read(view, branches, ask, "groups", items, thorough=True), wanted, "groups")
    same(view, read(view, branches, ask, "rows", items, thorough=True), wanted, "row by row")
    quick = {key for key, _, _ in read(view, branches, ask, "groups", items)}
    label = view.keys.index("item" if "item" in view.keys else "item_id")
    assert {g[0] for g in wanted if not str(g[0][label]).endswith(" ")} <= quick <= {g[0] for g in wanted}
    half = Items(slots=(0, SLOTS // 2))
    same(view, read(view, branches, ask, "groups", half), [g for g in whole if named(view, g[0]) in half], "a sample")


def read(view: View, branches: list[KeyedBranch], ask: Any, form: str, items: Items, **options: bool) -> list[Any]:
    return [
        view.from_erp(row[len(b.key) if form == "rows" else 0 :])
        for b in branches
        for row in ask(getattr(b, form)(items, **options))
    ]


def test_a_slot_is_the_same_in_sql(connection: Any) -> None:
    catalog = catalog_of("CREATE TABLE q (item text PRIMARY KEY, n int)", "postgres")
    (branch,) = keyed(MappingText("stock", "SELECT item, 'W' AS warehouse, n AS on_hand FROM q", "s.sql"), catalog, {})
    codes = ["A", "Ä 1", "螺栓", "x'y", "50%", "A-" * 40]
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TABLE public.q (item text PRIMARY KEY, n int)")
        for code in codes:
            connection.execute("INSERT INTO public.q VALUES (%s, 1)", [f"{code}\t "])
        for code in codes:
            at = slot(code)
            found = connection.execute(branch.groups(Items(slots=(at, at + 1)))).fetchall()
            assert [row[0].rstrip() for row in found] == [code]


def test_an_item_is_looked_up_before_anything_is_joined() -> None:
    catalog, texts, params = pack("tryton8")
    (stock,) = [t for t in texts if t.kind == "stock"]
    for branch in keyed(stock, catalog, params):
        assert branch.table == "public.stock_move"
        assert branch.key == ("id",)
        sql = branch.groups(Items(codes=frozenset(["TYRE-40"])))
        assert "= ANY (ARRAY(SELECT " in sql
        assert "WITH" not in sql
