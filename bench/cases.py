"""The mappings that the engine is measured with: each a schema, dimension rows, and endless changes of a fact table.

A change is (key, value) as Debezium writes it, about 600 bytes, transactions and all fields of `source` included.
"""

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.domain.catalog import Catalog
from pipeline.query import Engine, MappingText, compile_source
from tests.query.schemas import catalog_of, pack

PREFIX = "onhand.erp"
TODAY = "2026-11-22"
TRYTON = Path(__file__).parent.parent / "connectors" / "tryton"
Row = dict[str, Any]
Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Case:
    """`engine` has its dimensions; `facts` are the fact table's first rows, `changes` what happens to it then."""

    engine: Engine
    table: str
    facts: Iterator[Row]
    changes: Iterator[Row]

    def record(self, row: Row) -> Pair:
        """One change of the fact table as the connector writes it."""
        return record(self.engine, self.table, row)


def record(engine: Engine, table: str, row: Row) -> Pair:
    """The key and value of one changed row."""
    schema, _, name = table.rpartition(".")
    pk = {c: row[c] for c in engine.tables[table].key_type.__struct_encode_fields__}
    key = {"row": {**pk, "__dbz__physicalTableIdentifier": f"{PREFIX}.{table}"}}
    source = {
        "version": "3.7.0.Final", "connector": "postgresql", "name": PREFIX, "ts_ms": 1795387603549,
        "snapshot": "false", "db": "erp", "sequence": '["24023127","24023128"]', "ts_us": 1795387603549028,
        "ts_ns": 1795387603549028000, "schema": schema, "table": name, "txId": 771, "lsn": 24023128, "xmin": None,
        "origin": None, "origin_lsn": None,
    }  # fmt: skip
    value = {"before": None, "after": row, "source": source, "op": "u", "ts_ms": 1795387603886,
             "transaction": {"id": "771:24023128", "total_order": 1, "data_collection_order": 1}}  # fmt: skip
    return _json(key), _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


STAR_DDL = """CREATE TABLE quant (id int PRIMARY KEY, item_id int, location_id int, quantity numeric(18,4), reserved numeric(18,4));
    CREATE TABLE item (id int PRIMARY KEY, code text);
    CREATE TABLE location (id int PRIMARY KEY, code text, usage varchar, warehouse varchar);"""  # noqa: E501 -- one line a table
STAR_SQL = """SELECT q.item_id, i.code AS item, l.warehouse, q.location_id, l.code AS location, q.quantity AS on_hand,
                     q.reserved FROM quant q JOIN item i ON i.id = q.item_id JOIN location l ON l.id = q.location_id
              WHERE l.usage <> 'transit'"""
CHAIN_DDL = """CREATE TABLE entry (id int PRIMARY KEY, lot int, q numeric(12,3));
    CREATE TABLE lot (id int PRIMARY KEY, item int, place int, number varchar);
    CREATE TABLE place (id int PRIMARY KEY, house int, code varchar);
    CREATE TABLE house (id int PRIMARY KEY, code varchar);"""
CHAIN_SQL = """SELECT l.item AS item, h.code AS warehouse, p.code AS location, l.number AS lot, e.q AS on_hand
               FROM entry e
               JOIN lot l ON l.id = e.lot JOIN place p ON p.id = l.place JOIN house h ON h.id = p.house"""


def star(rows: int = 20_000, items: int = 0) -> Case:
    """A join with two sums: balances of an item at a location; their quantities change. Five rows a group."""
    engine = _compiled(catalog_of(STAR_DDL, "postgres"), [MappingText("stock", STAR_SQL, "stock.sql")], {})
    items = items or rows // 100
    load(engine, "public.item", ({"id": i, "code": f"I{i}"} for i in range(items)))
    places = ({"id": i, "code": f"L{i}", "usage": "internal", "warehouse": f"W{i % 4}"} for i in range(20))
    load(engine, "public.location", places)
    rng = random.Random(1)

    def quant(i: int) -> Row:
        return {"id": i, "item_id": i % items, "location_id": i // items % 20,
                "quantity": f"{rng.randrange(10_000)}.0000", "reserved": f"{rng.randrange(100)}.0000"}  # fmt: skip

    return Case(engine, "public.quant", map(quant, range(rows)), _forever(lambda: quant(rng.randrange(rows))))


def ledger(moves: int = 20_000) -> Case:
    """Tryton's stock: moves between 40 locations two to six levels below a warehouse; each is assigned, then done."""
    catalog = catalog_of((TRYTON / "schema.sql").read_text(), "postgres")
    text = MappingText("stock", (TRYTON / "stock.sql").read_text(), "stock.sql")
    engine = _compiled(catalog, [text], {"orgs": [1]})
    places = [{"id": 1, "type": "warehouse", "code": "WH", "storage_location": 2, "output_location": 3}]
    places += [{"id": i, "type": "storage", "parent": max(1, i // 2), "code": f"L{i}"} for i in range(2, 42)]
    load(engine, "public.stock_location", places)
    load(engine, "public.product_product", ({"id": i, "code": f"P{i}"} for i in range(500)))
    load(engine, "public.stock_lot", ({"id": i, "number": f"B{i}"} for i in range(100)))
    rng = random.Random(1)

    def move(i: int, state: str, day: str | None) -> Row:
        source, target = rng.sample(range(2, 42), 2)
        return {"id": i, "company": 1, "product": i % 500, "lot": i % 100, "from_location": source,
                "to_location": target, "internal_quantity": rng.randrange(1000) / 4, "planned_date": "2026-11-20Z",
                "state": state, "effective_date": day}  # fmt: skip

    def changes() -> Iterator[Row]:
        i = moves
        while True:
            i += 1
            yield (assigned := move(i, "assigned", None))
            yield assigned | {"state": "done", "effective_date": "2026-11-21Z"}

    done = (move(i, "done", "2026-11-21Z") for i in range(moves))
    return Case(engine, "public.stock_move", done, changes())


def chain(rows: int = 20_000) -> Case:
    """Four tables, each joined to the one before it; the first one's quantities change."""
    engine = _compiled(catalog_of(CHAIN_DDL, "postgres"), [MappingText("stock", CHAIN_SQL, "stock.sql")], {})
    load(engine, "public.house", ({"id": i, "code": f"H{i}"} for i in range(4)))
    load(engine, "public.place", ({"id": i, "house": i % 4, "code": f"L{i}"} for i in range(100)))
    lots = ({"id": i, "item": i % 200, "place": i % 100, "number": f"B{i}"} for i in range(5000))
    load(engine, "public.lot", lots)
    rng = random.Random(1)

    def entry(i: int) -> Row:
        return {"id": i, "lot": i % 5000, "q": f"{rng.randrange(10_000)}.000"}

    return Case(engine, "public.entry", map(entry, range(rows)), _forever(lambda: entry(rng.randrange(rows))))


def kingdee(rows: int = 20_000) -> Case:
    """Kingdee's stock, five joins: a balance row changes its quantity."""
    catalog, texts, params = pack("kingdee")
    engine = _compiled(catalog, [t for t in texts if t.kind == "stock"], params)
    load(engine, "dbo.T_ORG_ORGANIZATIONS", [{"FORGID": 1, "FNUMBER": "100"}])
    load(engine, "dbo.T_BD_MATERIAL", ({"FMATERIALID": i, "FNUMBER": f"M{i}"} for i in range(1000)))
    load(engine, "dbo.T_BD_STOCK", ({"FSTOCKID": i, "FNUMBER": f"CK{i}"} for i in range(20)))
    load(engine, "dbo.T_BD_LOTMASTER", ({"FLOTID": i, "FNUMBER": f"L{i}"} for i in range(2000)))
    states = ({"FSTOCKSTATUSID": i, "FNUMBER": f"KCZT0{i}_SYS"} for i in range(1, 6))
    load(engine, "dbo.T_BD_STOCKSTATUS", states)
    rng = random.Random(1)

    def balance(i: int) -> Row:
        return {"FID": str(uuid.UUID(int=i * 2**64)), "FSTOCKORGID": 1, "FMATERIALID": i % 1000, "FAUXPROPID": 0,
                "FMTONO": " ", "FSTOCKID": i % 20, "FSTOCKLOCID": 0, "FLOT": i % 2000, "FEXPIRYDATE": None,
                "FSTOCKSTATUSID": 1, "FOWNERID": 1, "FBASEQTY": f"{rng.randrange(10_000)}.0000000000",
                "FBASELOCKQTY": "0E-10", "FSECQTY": "0E-10"}  # fmt: skip

    changes = _forever(lambda: balance(rng.randrange(rows)))
    return Case(engine, "dbo.T_STK_INVENTORY", map(balance, range(rows)), changes)


def mard(rows: int = 20_000) -> Case:
    """SAP ECC's stock, twelve arms: all six quantities of a MARD row change."""
    catalog, texts, params = pack("ecc")
    engine = _compiled(catalog, [t for t in texts if t.kind == "stock"], params)
    rng = random.Random(1)

    def balance(i: int) -> Row:
        pk = {"MANDT": "100", "MATNR": f"{i // 10:018}", "WERKS": "1000", "LGORT": f"{i % 10:04}"}
        return pk | {q: f"{rng.randrange(1, 5000)}.000" for q in ("LABST", "UMLME", "INSME", "EINME", "SPEME", "RETME")}

    return Case(engine, "DSDATA.MARD", map(balance, range(rows)), _forever(lambda: balance(rng.randrange(rows))))


CASES = {"star": star, "ledger": ledger, "chain": chain, "kingdee": kingdee, "mard": mard}


def load(engine: Engine, table: str, rows: Any) -> None:
    """Rows at once, past the log. Columns not named are NULL."""
    fold = engine.tables[table]
    fields = dict.fromkeys(fold.row_type.__struct_encode_fields__)
    names = dict(zip(fold.row_type.__struct_encode_fields__, fold.row_type.__struct_fields__, strict=True))
    for row in rows:
        fold.upsert(fold.row_type(**{names[c]: v for c, v in (fields | row).items() if c in names}))


def _compiled(catalog: Catalog, texts: list[MappingText], params: dict[str, Any]) -> Engine:
    return compile_source(texts, catalog, params, today=TODAY)


def _forever(make: Any) -> Iterator[Row]:
    while True:
        yield make()
