"""The pack `tryton` as data: its files agree with each other, and its cases hold on PostgreSQL."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.rows import dict_row

from infra.demo import attach
from pipeline import pack
from pipeline.manifest import Probe

FOLDER = files("connectors") / "tryton"
CASES = yaml.safe_load((FOLDER / "cases.yaml").read_text())
KEYS = {
    "stock": ("item", "warehouse", "location", "lot"), "orders": ("line",), "movements": ("line_id", "leg"),
}  # fmt: skip
# what a query yields, added up by identity and named as served: the code, else ~id
STOCK = """
SELECT COALESCE(item, '~' || item_id) AS item, COALESCE(warehouse, '~' || warehouse_id) AS warehouse,
       COALESCE(location, '~' || location_id) AS location, COALESCE(lot, '~' || lot_id) AS lot,
       SUM(on_hand) AS on_hand, SUM(reserved) AS reserved
FROM ({}) AS mapped GROUP BY item_id, item, warehouse_id, warehouse, location_id, location, lot_id, lot
"""
ORDERS = """
SELECT COALESCE(order_no, '~' || order_no_id) AS order_no, line, item, warehouse, status, due, product,
       SUM(required) AS required, SUM(issued) AS issued, SUM(returned) AS returned, SUM(reserved) AS reserved
FROM ({}) AS mapped GROUP BY order_no_id, order_no, line_id, line, item, warehouse, status, due, product
"""
MOVEMENTS = """
SELECT line_id, leg, doc_type, doc_no, COALESCE(item, '~' || item_id) AS item, warehouse, kind, order_no, qty
FROM ({}) AS mapped
"""
SERVED = {"stock": STOCK, "orders": ORDERS, "movements": MOVEMENTS}


def test_the_captured_columns_are_those_of_schema_sql(tryton_url: str) -> None:
    captured = attach.captured(tryton_url, [1])
    assert sorted(captured) == [
        f"public.{name}" for name in ("product_product", "production", "stock_location", "stock_lot", "stock_move")
    ]
    assert set(captured["public.stock_location"]) == {
        "id",
        "code",
        "parent",
        "type",
        "output_location",
        "storage_location",
    }
    assert "internal_quantity" in captured["public.stock_move"]


def test_available_stock_is_known_because_the_pack_reserves() -> None:
    assert pack.load("tryton", {"orgs": [1]}).stock["reserved"] == "stock"


def test_probes_name_deep_trees_and_stock_outside_warehouses(tryton_url: str) -> None:
    deep, outside = pack.load("tryton", {"orgs": [1]}).manifest.probe
    with psycopg.connect(tryton_url) as erp:
        assert _offenders(erp, deep) == _offenders(erp, outside) == []
        # 1 warehouse > 2 > 3 > .. > 8: the last one lies seven levels below it; 9 is on its own
        for place in range(1, 9):
            kind = "warehouse" if place == 1 else "storage"
            _upsert(erp, "stock_location", {"id": place, "type": kind, "left": place, "right": 20 - place})
        _upsert(erp, "stock_location", {"id": 9, "type": "storage", "left": 30, "right": 31})
        _upsert(erp, "stock_move", {**_MOVE, "from_location": 8, "to_location": 9, "state": "done"})
        assert _offenders(erp, deep) == [8]
        assert _offenders(erp, outside) == [9]


_MOVE = {"id": 1, "company": 1, "product": 1, "internal_quantity": 1}


def _offenders(erp: psycopg.Connection[Any], probe: Probe) -> list[int]:
    return [row[0] for row in erp.execute(probe.sql)]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_case(case: Mapping[str, Any], tryton_url: str) -> None:
    with psycopg.connect(tryton_url) as erp:
        _put(erp, CASES["given"])
        for step in case["steps"]:
            before = {kind: _served(erp, kind) for kind in KEYS}
            _put(erp, step["put"])
            for kind, was in before.items():
                now = _served(erp, kind)
                expected = _expected(kind, step["expect"].get(kind, ()), was, now)
                assert _changes(was, now) == expected, (kind, step["says"])


def _served(erp: psycopg.Connection[Any], kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
    text = (FOLDER / f"{kind}.sql").read_text().replace(":orgs", str(CASES["params"]["orgs"])[1:-1])
    rows = erp.cursor(row_factory=dict_row).execute(SERVED[kind].format(text)).fetchall()
    return {tuple(row[name] for name in KEYS[kind]): row for row in rows}


def _changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _expected(kind: str, rows: Iterable[dict[str, Any]], *states: Mapping[Any, Any]) -> dict[Any, Any]:
    """`expect` as changes: each row names one key; the columns it names must be so, the others may be what they are."""
    found = {}
    for row in rows:
        named = {name: row[name] for name in KEYS[kind] if name in row}
        [key] = {
            key for state in states for key in state if named.items() <= dict(zip(KEYS[kind], key, strict=True)).items()
        }
        found[key] = None if row.get("gone") else {**states[-1][key], **row}
    return found


def _put(erp: psycopg.Connection[Any], tables: Mapping[str, list[dict[str, Any]]]) -> None:
    for table, rows in tables.items():
        for row in rows:
            _upsert(erp, table, row)


def _upsert(erp: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    """By primary key `id`; an update first, because an insert checks the columns that a short row leaves out."""
    name, columns = sql.Identifier(table), [sql.Identifier(column) for column in row]
    sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(c, sql.Placeholder()) for c in columns)
    update = sql.SQL("UPDATE {} SET {} WHERE id = {}").format(name, sets, sql.Placeholder())
    if erp.execute(update, [*row.values(), row["id"]]).rowcount:
        return
    values = sql.SQL(", ").join(sql.Placeholder() * len(row))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(name, sql.SQL(", ").join(columns), values)
    erp.execute(insert, list(row.values()))
