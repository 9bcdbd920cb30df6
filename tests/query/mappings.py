"""A mapping of the smallest useful shape: a PostgreSQL schema, a query over it, and values for its rows."""

from collections.abc import Sequence

# ruff: noqa: E501 -- one line a column list, as in the SQL beside it
from dataclasses import dataclass, field
from typing import Any

from pipeline.query import MappingText

# What a column's values are drawn from: repeated where joins and filters should meet often.
PKS = tuple(range(1, 9))
REFS = (*PKS, *PKS, 9, None)
TEXTS = (None, "", " ", "A", "a", "B ", "x'y", "é", "日本")
QUANTITIES = (None, "0.0000", "1.0000", "-2.5000", "12345678901234.5678", "0.0001")


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
