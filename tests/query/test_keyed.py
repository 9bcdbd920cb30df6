"""A query asked for some items only says of them what the whole query says."""

import json
from collections import Counter
from random import Random
from typing import Any

import psycopg
import pytest

from pipeline.query import compile_source
from pipeline.query.keyed import SLOTS, Items, KeyedBranch, added, keyed, slot
from tests.query.mappings import MAPPINGS, TODAYS, Mapping
from tests.query.schemas import catalog_of, pack
from tests.query.test_property import Erp, Server, assert_same, draw_event, first_rows

ROUNDS = 6


@pytest.fixture(scope="module")
def server(postgres):
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE keyed")
    with psycopg.connect(postgres.url("keyed"), autocommit=True) as connection:
        yield Server(connection)


def shown(value: Any) -> str:
    return "" if value is None else str(value).rstrip()


def some(answer: list[Any], names: tuple[str, ...], rng: Random) -> Items:
    label, ident = (
        names.index("item" if "item" in names else "item_id"),
        names.index("item_id") if "item_id" in names else 0,
    )
    keys = [key for key, _, _ in answer if rng.random() < 0.5]
    codes = {shown(key[label]) for key in keys} - {""}
    ids = {str(key[ident]) for key in keys if not shown(key[label]) and key[ident]} if "item_id" in names else set()
    return Items(frozenset(codes | {"nobody's"}), frozenset(ids))


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: m.name)
def test_some_items_are_what_they_are_in_the_whole(mapping: Mapping, server: Server) -> None:
    rng, seen = Random(mapping.name), Counter[str]()
    catalog = catalog_of(mapping.ddl, "postgres")
    keys = {t.short: t.primary_key for t in catalog.tables.values()}
    views = compile_source(mapping.texts, catalog, mapping.params).views
    for _ in range(ROUNDS):
        erp, today = Erp(mapping, catalog), rng.choice(TODAYS).isoformat()
        for event in (*first_rows(mapping, keys, rng), *(draw_event(mapping, keys, rng) for _ in range(20))):
            erp.follow(event)
        for text in mapping.texts:
            view, branches = views[text.kind], keyed(text, catalog, mapping.params)
            if "item" not in view.keys and "item_id" not in view.keys:
                continue
            with server.connection.transaction(force_rollback=True):
                fill(server, mapping, erp)
                ask = lambda sql: server.connection.execute(sql.replace("CURRENT_DATE", f"DATE '{today}'")).fetchall()  # noqa: B023, E731
                whole = [view.from_erp(row) for row in ask(view.erp_sql())]
                check(view, branches, ask, whole, some(whole, view.keys, rng), f"{mapping.name}: {text.kind}")
                seen[text.kind] += len(whole) > 1
    assert all(n > ROUNDS / 3 for n in seen.values()), seen


def fill(server: Server, mapping: Mapping, erp: Erp) -> None:
    server.connection.execute(f"SET LOCAL search_path TO property_{MAPPINGS.index(mapping)}")
    for table, rows in erp.rows.items():
        # the catalog calls the tables public's
        server.connection.execute(f"CREATE TABLE public.{table} (LIKE {table} INCLUDING ALL)")
        if rows:
            sql = f"INSERT INTO public.{table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)"
            server.connection.execute(sql, [json.dumps(list(rows.values()))])
    server.connection.execute("SET LOCAL search_path TO public")


def check(view: Any, branches: list[KeyedBranch], ask: Any, whole: list[Any], items: Items, where: str) -> None:
    label = view.keys.index("item" if "item" in view.keys else "item_id")
    ident = view.keys.index("item_id") if "item_id" in view.keys else None
    wanted = [g for g in whole if (shown(g[0][label]), "" if ident is None else str(g[0][ident])) in items]
    asked = [view.from_erp(row) for b in branches for row in ask(b.groups(items, thorough=True))]
    assert_same(view, added(asked), wanted, where)
    rows = [view.from_erp(row[len(b.key) :]) for b in branches for row in ask(b.rows(items, thorough=True))]
    assert_same(view, added(rows), wanted, f"{where} row by row")
    quick = {g[0]: g for b in branches for g in map(view.from_erp, ask(b.groups(items)))}
    exact = {g[0] for g in wanted if g[0][label] is None or not str(g[0][label]).endswith(" ")}
    assert exact <= quick.keys() <= {g[0] for g in wanted}, where
    sample = Items(slots=(0, SLOTS // 2))
    halves = [view.from_erp(row) for b in branches for row in ask(b.groups(sample))]
    assert_same(view, added(halves), [g for g in whole if (shown(g[0][label]), "") in sample], f"{where} sampled")


def test_a_slot_is_the_same_in_sql(server: Server) -> None:
    catalog = catalog_of("CREATE TABLE q (item text PRIMARY KEY, n int)", "postgres")
    from pipeline.query import MappingText

    (branch,) = keyed(MappingText("stock", "SELECT item, 'W' AS warehouse, n AS on_hand FROM q", "s.sql"), catalog, {})
    codes = ["A", "Ä 1", "螺栓", "x'y", "50%", "A-" * 40]
    with server.connection.transaction(force_rollback=True):
        server.connection.execute("CREATE TABLE public.q (item text PRIMARY KEY, n int)")
        for code in codes:
            server.connection.execute("INSERT INTO public.q VALUES (%s, 1)", [f"{code}\t "])
        for code in codes:
            at = slot(code)
            found = server.connection.execute(branch.groups(Items(slots=(at, at + 1)))).fetchall()
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
