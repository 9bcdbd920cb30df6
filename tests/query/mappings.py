"""The mappings of the differential test: each a PostgreSQL schema, queries over it, and random rows for it."""

import datetime
from collections.abc import Sequence

# ruff: noqa: E501 -- one line a column list, as in the SQL beside it
from dataclasses import dataclass, field
from typing import Any

from pipeline.query import MappingText
from tests.query.schemas import PACKS

# What a column's values are drawn from: repeated where joins and filters should meet often.
PKS = tuple(range(1, 9))
REFS = (*PKS, *PKS, 9, None)
CODES = (None, "A", "a", "")
TEXTS = (None, "", " ", "A", "a", "B ", "x'y", "é", "日本")
QUANTITIES = (None, "0.0000", "1.0000", "-2.5000", "12345678901234.5678", "0.0001")
_FEW = (None, "0.00", "1.00", "2.50", "-1.25")
DOUBLES = (None, 0.0, 0.1, -0.3, 2.5, 1e6, 123456.789)
DAYS = ("2026-11-01", "2026-11-10", "2026-11-20")
DATES = (None, *DAYS, "1999-12-31")
FLAGS = (None, True, True, False)


@dataclass(frozen=True)
class Mapping:
    name: str
    ddl: str
    queries: dict[str, str]
    rows: dict[str, dict[str, Sequence[Any]]]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def texts(self) -> list[MappingText]:
        return [MappingText(kind, sql, f"{kind}.sql") for kind, sql in self.queries.items()]


STAR = Mapping(
    "star",
    """CREATE TABLE quant (id int PRIMARY KEY, item_id int, location_id int, lot varchar, quantity numeric(18,4), reserved numeric(18,4));
       CREATE TABLE item (id int PRIMARY KEY, code text);
       CREATE TABLE location (id int PRIMARY KEY, code text, usage varchar, warehouse char(3) NOT NULL);""",
    {
        "stock": """SELECT q.item_id, i.code AS item, l.warehouse AS warehouse, q.location_id, l.code AS location, q.lot AS lot,
                           q.quantity AS on_hand, q.reserved AS reserved
                    FROM quant q JOIN item i ON i.id = q.item_id JOIN location l ON l.id = q.location_id
                    WHERE l.usage <> 'transit'"""
    },
    {
        "quant": {"id": PKS, "item_id": REFS, "location_id": REFS, "lot": TEXTS, "quantity": QUANTITIES, "reserved": QUANTITIES},
        "item": {"id": PKS, "code": TEXTS},
        "location": {"id": PKS, "code": TEXTS, "usage": (None, "transit", "internal", "internal", "internal"), "warehouse": ("A  ", "BC ")},
    },
)  # fmt: skip

LEFT_CHAIN = Mapping(
    "left chain, conditions in ON, unique keys",
    """CREATE TABLE fact (a int, b text, code text, n int, q numeric, open boolean, PRIMARY KEY (a, b));
       CREATE TABLE mid (id bigint PRIMARY KEY, code text UNIQUE, top_a int, top_b text, active boolean, weight numeric(9,2));
       CREATE TABLE top (a int, b text, name text, kind int, PRIMARY KEY (a, b));""",
    {
        "stock": """
          SELECT f.code AS item, CASE WHEN m.active AND NOT f.open THEN m.code WHEN t.kind IN (1, 2) THEN t.name ELSE COALESCE(t.name, 'none') END AS warehouse,
                 t.kind AS variant, f.a || '/' || TRIM(t.b) AS lot, NULLIF(f.b, 'x') AS status,
                 f.q * COALESCE(m.weight, 1) - f.n AS on_hand, CASE f.n WHEN 1 THEN m.weight WHEN 2 THEN -f.n END AS reserved
          FROM fact f
          LEFT JOIN mid m ON m.code = f.code AND (m.active OR f.n > 1)
          LEFT JOIN top t ON t.a = m.top_a AND t.b = m.top_b AND t.kind IS NOT NULL
          WHERE NOT (f.n BETWEEN 5 AND 6) OR f.open OR f.n IS NULL""",
        "items": """SELECT m.id AS item_id, m.code AS item, UPPER(SUBSTRING(t.name, 1, 2)) AS name, m.weight AS safety_stock
                    FROM mid m JOIN top t ON t.a = m.top_a AND t.b = 'x'""",
    },
    {
        "fact": {"a": (1, 2), "b": ("x", "y"), "code": CODES, "n": (None, 0, 1, 2, 3, 4, 5), "q": (None, "1", "2.50", "-0.000000000001", "3E+2"), "open": FLAGS},
        "mid": {"id": PKS, "code": CODES, "top_a": (1, 2), "top_b": (None, "x", "y"), "active": FLAGS, "weight": (None, "1.00", "-2.25")},
        "top": {"a": (1, 2), "b": ("x", "y"), "name": TEXTS, "kind": (None, 0, 1, 2, 3)},
    },
)  # fmt: skip

TREE = Mapping(
    "self-joined parents",
    """CREATE TABLE place (id int PRIMARY KEY, parent int, type text, code text, target int);
       CREATE TABLE entry (id int PRIMARY KEY, place int, product text, q numeric(12,3));""",
    {
        "stock": """
          SELECT s.product AS item, CASE WHEN l.type = 'w' THEN l.code WHEN p1.type = 'w' THEN p1.code WHEN p2.type = 'w' THEN p2.code END AS warehouse,
                 s.place AS location_id, l.code AS location, s.q AS on_hand
          FROM entry s JOIN place l ON l.id = s.place LEFT JOIN place p1 ON p1.id = l.parent LEFT JOIN place p2 ON p2.id = p1.parent""",
        # The root itself is joined three times: one row may be root, parent and grandparent at once.
        "items": """SELECT a.id AS item_id, c.code AS item, b.type AS uom, a.target AS safety_stock, c.target AS max_stock
                    FROM place a LEFT JOIN place b ON b.id = a.parent JOIN place c ON c.id = b.target WHERE c.type <> a.code""",
    },
    {
        "place": {"id": PKS, "parent": REFS, "type": (None, "w", "s"), "code": TEXTS, "target": REFS},
        "entry": {"id": PKS, "place": REFS, "product": TEXTS, "q": (None, "1.000", "-0.500")},
    },
)  # fmt: skip

UNION = Mapping(
    "UNION ALL in WITH and in a derived table",
    """CREATE TABLE head (id int PRIMARY KEY, state text, day timestamp, ref int);
       CREATE TABLE body (id int PRIMARY KEY, head int, item text, lot text, q numeric(10,2), r numeric(8,3));
       CREATE TABLE batch (id int PRIMARY KEY, code text NOT NULL, expiry date, UNIQUE (code));""",
    {
        "stock": """
          WITH m AS (
            SELECT b.item, b.lot, h.state, b.q AS q, 0 AS r, h.day FROM body b JOIN head h ON h.id = b.head WHERE h.state IN ('done', 'open')
            UNION ALL SELECT b.item, NULL, 'total', -b.q, b.r * 2.5, NULL FROM body b
          )
          SELECT m.item AS item, m.state AS warehouse, m.lot AS lot, t.expiry AS expiry, m.day::date AS serial, m.q AS on_hand, m.r AS reserved
          FROM m LEFT JOIN batch t ON t.code = m.lot
          UNION ALL
          SELECT h.state, 'heads', CAST(NULL AS text), NULL, CAST(h.day AS date), h.ref, 1 FROM head h WHERE h.day >= '2026-11-10'::date AND h.state = :state""",
        # The text sums by itself: its rows are counted all the same.
        "items": """SELECT x.item AS item, SUM(x.q) AS safety_stock, SUM(x.r + x.q) AS max_stock
                    FROM (SELECT item, q, r FROM body UNION ALL SELECT code, 1, 0.5 FROM batch) x GROUP BY x.item
                    UNION ALL SELECT h.state, h.ref, h.id FROM head h WHERE h.ref IN (:refs)""",
    },
    {
        "head": {"id": PKS, "state": (None, "done", "open", "x'y"), "day": (None, "2026-11-10T00:00:00", "2026-11-09T23:59:59.999999", "2026-11-20T10:00:00.5"), "ref": REFS},
        "body": {"id": PKS, "head": REFS, "item": TEXTS, "lot": CODES, "q": (None, "1.00", "-2.25"), "r": (None, "0.125", "3.000")},
        "batch": {"id": PKS, "code": ("A", "a", ""), "expiry": DATES},
    },
    {"state": "x'y", "refs": [1, 2, 5]},
)  # fmt: skip

DATED = Mapping(
    "dates against a moving CURRENT_DATE",
    """CREATE TABLE move (id int PRIMARY KEY, item text, due date, at timestamp, q numeric(10,2), kind int);
       CREATE TABLE kinds (id int PRIMARY KEY, until date);""",
    {
        "stock": """SELECT m.item AS item, CASE WHEN m.at < CURRENT_DATE THEN 'past' WHEN k.until >= CURRENT_DATE THEN 'kept' END AS warehouse, m.q AS on_hand
                    FROM move m LEFT JOIN kinds k ON k.id = m.kind WHERE COALESCE(m.due, m.at::date) <= CURRENT_DATE
                    UNION ALL SELECT m.item, 'future', m.q FROM move m WHERE NOT (m.due <= CURRENT_DATE AND m.q <> 0)""",
        "items": "SELECT m.item AS item, m.due AS name, CURRENT_DATE AS spec, m.q AS max_stock FROM move m",
    },
    {
        "move": {"id": PKS, "item": TEXTS, "due": DATES, "at": (None, "2026-11-10T00:00:00", "2026-11-09T12:00:00", "2026-11-20T10:00:00"), "q": (None, "1.00", "0.00"), "kind": REFS},
        "kinds": {"id": PKS, "until": DATES},
    },
)  # fmt: skip

ARMS = Mapping(
    "arms over one balance that count in one group",
    """CREATE TABLE balance (id int PRIMARY KEY, item int, free numeric(9,2), quality numeric(9,2), blocked numeric(9,2), open boolean, note text);
       CREATE TABLE item (id int PRIMARY KEY, code text, factor numeric(5,1));""",
    {
        "stock": """
          WITH s AS (
            SELECT item, 'free' AS status, free AS q, 0 AS r FROM balance
            UNION ALL SELECT item, 'quality', quality, 0 FROM balance WHERE quality <> 0
            UNION ALL SELECT item, 'free', -blocked, blocked FROM balance WHERE blocked > 0 AND open
            UNION ALL SELECT item, 'free', quality, free FROM balance WHERE free IS NULL OR quality > 1
          )
          SELECT s.item AS item_id, i.code AS item, 'W' AS warehouse, s.status, s.q * COALESCE(i.factor, 1) AS on_hand, s.r AS reserved
          FROM s LEFT JOIN item i ON i.id = s.item
          UNION ALL
          SELECT b.item, i.code, 'W', 'free', b.free, 1 FROM balance b JOIN item i ON i.id = b.item AND b.blocked > i.factor""",
        "items": "SELECT b.item AS item_id, b.note AS name, b.free AS max_stock FROM balance b",
    },
    {
        "balance": {"id": PKS, "item": (1, 1, 2, 9, None), "free": _FEW, "quality": _FEW, "blocked": _FEW, "open": FLAGS, "note": TEXTS},
        "item": {"id": (1, 2, 3), "code": TEXTS, "factor": (None, "1.0", "0.5", "-2.0")},
    },
)  # fmt: skip

_STATES = ("done", "done", "assigned", "assigned", "draft", "cancelled", None)
TRYTON = Mapping(
    "Tryton 8, all four queries",
    (PACKS / "tryton8" / "schema.sql").read_text(),
    {kind: (PACKS / "tryton8" / f"{kind}.sql").read_text() for kind in ("stock", "orders", "movements", "items")},
    {
        "stock_move": {"id": PKS, "state": _STATES, "product": REFS, "lot": REFS, "from_location": REFS, "to_location": REFS, "internal_quantity": DOUBLES, "effective_date": DATES, "planned_date": DATES, "production_input": REFS, "production_output": REFS, "shipment": TEXTS, "origin": TEXTS, "company": (None, 1, 1, 1, 1, 1, 1, 2)},
        "stock_location": {"id": PKS, "type": ("storage", "storage", "storage", "storage", "storage", "warehouse", "warehouse", "customer", None), "parent": REFS, "code": TEXTS},
        "stock_lot": {"id": PKS, "number": TEXTS},
        "product_product": {"id": PKS, "code": TEXTS, "template": REFS, "active": FLAGS},
        "product_template": {"id": PKS, "name": TEXTS, "default_uom": REFS, "active": FLAGS},
        "product_uom": {"id": PKS, "symbol": TEXTS},
        "production": {"id": PKS, "number": TEXTS, "state": _STATES, "product": REFS, "warehouse": REFS, "company": (1, 1, 1, 2), "planned_start_date": DATES},
        "stock_order_point": {"id": PKS, "product": REFS, "type": ("purchase", "other"), "warehouse_location": REFS, "min_quantity": DOUBLES, "company": (1, 1, 1, 2)},
    },
    {"orgs": [1]},
)  # fmt: skip

MAPPINGS = (STAR, LEFT_CHAIN, TREE, UNION, DATED, ARMS, TRYTON)
TODAYS = [datetime.date.fromisoformat(d) for d in ("2026-10-31", *DAYS, "2026-12-31")]
