"""Every drafted pack compiles: four dialects, thirty-two queries."""

import pytest

from pipeline.query import compile_source
from tests.query.schemas import DIALECTS, pack

TEXTS = [(name, text) for name in DIALECTS for text in pack(name)[1]]


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[t.file for _, t in TEXTS])
def test_query_compiles(name, text):
    catalog, _, params = pack(name)
    view = compile_source([text], catalog, params).views[text.kind]
    assert view.amounts
    assert view.erp_sql().count("GROUP BY") == 1


@pytest.mark.parametrize("name", DIALECTS)
def test_queries_of_a_pack_share_their_tables(name):
    catalog, texts, params = pack(name)
    engine = compile_source(texts, catalog, params)
    assert engine.captured.keys() == engine.tables.keys()
    for table, columns in engine.captured.items():
        known = list(catalog.tables[table].columns)
        assert list(columns) == [c for c in known if c in columns], "real spelling, catalog order"
        assert set(catalog.tables[table].primary_key) <= set(columns)


def test_only_needed_columns_are_captured():
    catalog, texts, params = pack("tryton8")
    stock = compile_source([t for t in texts if t.kind == "stock"], catalog, params)
    assert stock.captured["public.stock_location"] == ("id", "type", "parent", "code")
    assert "public.production" not in stock.captured


def test_keys_and_amounts_of_trytons_stock():
    catalog, texts, params = pack("tryton8")
    view = compile_source(texts, catalog, params).views["stock"]
    assert view.keys == ("item_id", "item", "warehouse_id", "warehouse", "location_id", "location", "lot_id", "lot")
    assert [(a.name, a.scale, a.approx) for a in view.amounts] == [("on_hand", 9, True), ("reserved", 9, True)]
