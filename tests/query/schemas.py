"""Test data: the packs' CREATE TABLE statements as a catalog."""

import datetime
from pathlib import Path

from pipeline.domain.catalog import Catalog
from pipeline.query import MappingText
from pipeline.query import catalog_of as ddl_catalog

PACKS = Path(__file__).parent / "packs"
DIALECTS = {
    "tryton8": "postgres",
    "odoo17": "postgres",
    "erpnext": "mysql",
    "kingdee": "tsql",
    "u8": "tsql",
    "ecc": "oracle",
    "s4": "oracle",
    "t100": "oracle",
}
SCHEMAS = {"postgres": "public", "mysql": "erp", "tsql": "dbo", "oracle": "DSDATA"}
_TEXT_PARAMS = {"orgs": ["1000", "2000"], "client": "100", "lang": "E", "since": "2026"}
PARAMS = {
    "tryton8": {"orgs": [1, 2]},
    "odoo17": {"orgs": [1, 2], "lang": "en_US", "since": datetime.date(2026, 1, 1)},
    "erpnext": {"orgs": ["ACME"], "since": datetime.date(2026, 1, 1)},
    "kingdee": {"orgs": [1], "lang": 2052, "since": datetime.date(2026, 1, 1)},
    "u8": {"since": datetime.date(2026, 1, 1)},
    "ecc": _TEXT_PARAMS,
    "s4": _TEXT_PARAMS,
    "t100": {"orgs": ["DS01"], "ent": 1, "lang": "zh_TW", "since": datetime.date(2026, 1, 1)},
}


def catalog_of(ddl: str, dialect: str, schema: str | None = None) -> Catalog:
    """A catalog from CREATE TABLE statements; unqualified tables lie where the drafted packs look for them."""
    return ddl_catalog(ddl, dialect, schema or SCHEMAS[dialect])


def pack(name: str) -> tuple[Catalog, list[MappingText], dict]:
    """A pack's catalog, its queries and parameters."""
    catalog = catalog_of((PACKS / name / "schema.sql").read_text(), DIALECTS[name])
    files = [p for p in sorted((PACKS / name).glob("*.sql")) if p.stem in ("stock", "orders", "movements", "items")]
    return catalog, [MappingText(p.stem, p.read_text(), f"{name}/{p.name}") for p in files], PARAMS[name]
