"""A checked pack as rows, section by section: the same for a person and for JSON."""

from collections.abc import Iterator
from typing import Any

from pipeline.cli.pack_check import Report
from pipeline.domain.errors import OnhandError, PackError
from pipeline.query import Amount
from pipeline.query.describe import Described, Lookup

Rows = list[dict[str, Any]]
TITLES = {
    "parameters": "Parameters",
    "captured": "Captured columns; nothing else leaves the ERP",
    "yields": "What the queries yield",
    "joins": "Joins: each finds one row by a unique key",
    "needs": "What the ERP needs",
    "searches": "Looking up one item or order searches these columns; an index that begins with them makes it quick",
    "notes": "Good to know",
    "failed": "Cases that fail",
    "refused": "Refused",
}
_NEEDS = {
    "postgres": [
        "wal_level = logical, and a role with LOGIN and REPLICATION that may SELECT the captured columns",
        "a publication of the captured tables and columns, made by the administrator (apply prints the SQL)",
    ],
    "mysql": [
        "binlog_format = ROW, binlog_row_image = FULL and GTIDs; a user with REPLICATION SLAVE, REPLICATION CLIENT"
        " and SELECT on the captured tables",
        "this version captures PostgreSQL only: the pack can be written and tried, and not applied yet",
    ],
    "tsql": [
        "change data capture on the database and on each captured table (sys.sp_cdc_enable_table with its column list)"
        " with SQL Server Agent running; a login that may SELECT the captured columns",
        "this version captures PostgreSQL only: the pack can be written and tried, and not applied yet",
    ],
    "oracle": [
        "ARCHIVELOG mode, supplemental logging of all columns of the captured tables; a LogMiner user that may SELECT"
        " and FLASHBACK them",
        "this version captures PostgreSQL only: the pack can be written and tried, and not applied yet",
    ],
}  # fmt: skip


def sections(report: Report) -> dict[str, Rows]:
    """The rows of each section, by the names of TITLES."""
    return {
        "parameters": list(_parameters(report)),
        "captured": [{"table": _short(t), "columns": list(columns)} for t, columns in report.captured.items()],
        "yields": [row for query in report.queries for row in _yields(query)],
        "joins": list(_joins(report)),
        "needs": [{"note": need} for need in _needs(report)],
        "searches": list(_searches(report)),
        "notes": [{"note": note} for note in report.notes],
        "failed": [
            {"where": f.where, "case": f.case, "step": f.step, "manner": f.manner, "says": list(f.says)}
            for f in report.failures
        ],
        "refused": [_refused(e) for e in report.refused],
    }


def _short(table: str) -> str:
    return table.rpartition(".")[2]


def _parameters(report: Report) -> Iterator[dict[str, Any]]:
    for name, (value, origin) in report.params.items():
        param = report.manifest.params[name] if report.manifest is not None else None
        if param is not None:
            kind = f"list of {param.type}" if param.many else param.type
            default = "" if param.default is None else str(param.default)
            bound = "" if origin == "must be given" else str(value)
            yield {"name": name, "type": kind, "default": default, "value": bound, "from": origin, "help": param.help}


def _yields(query: Described) -> Iterator[dict[str, Any]]:
    for role, says in _ROLES.items():
        if columns := [n for n, r in query.keys.items() if r == role]:
            yield {"query": query.kind, "columns": columns, "are": role, "which": says}
    for says in dict.fromkeys(_exactness(a) for a in query.amounts):
        columns = [a.name for a in query.amounts if _exactness(a) == says]
        yield {"query": query.kind, "columns": columns, "are": "amount", "which": says}


_ROLES = {
    "identity": "tell rows apart: rows with the same identity are added",
    "label": "are shown for their ids",
    "attribute": "may change",
}


def _exactness(amount: Amount) -> str:
    if amount.approx:
        return "come from doubles: compared at 0.000001"
    return f"are exact, {amount.scale} decimals" if amount.scale else "are exact, whole numbers"


def _joins(report: Report) -> Iterator[dict[str, Any]]:
    for query in report.queries:
        for join in query.lookups:
            own = f"{_short(join.table)} ({', '.join(join.columns)})"
            from_ = f"{_short(join.parent)} ({', '.join(join.parent_columns)})"
            kind = "LEFT JOIN" if join.left else "JOIN"
            yield {"query": query.kind, "join": kind, "finds": own, "unique by": _why(report, join), "from": from_}


def _why(report: Report, join: Lookup) -> str:
    known = report.schema.tables.get(join.table) if report.schema is not None else None
    if known is not None and set(join.columns) == set(known.primary_key):
        return "primary key"
    declared = known is not None and any(set(join.columns) == set(u) for u in known.unique)
    return "unique key" if declared else "[schema] of pack.toml"


def _needs(report: Report) -> list[str]:
    return _NEEDS[report.manifest.dialect] if report.manifest is not None and report.captured else []


def _searches(report: Report) -> Iterator[dict[str, Any]]:
    for search in dict.fromkeys(s for query in report.queries for s in query.searches):
        known = report.schema.tables[search.table] if report.schema is not None else None
        keys = (known.primary_key, *known.unique) if known is not None else ()
        has = any(set(key[: len(search.columns)]) == set(search.columns) for key in keys)
        index = "its key" if has else "none in schema.sql"
        yield {"table": _short(search.table), "columns": list(search.columns), "index": index}


def _refused(error: OnhandError) -> dict[str, Any]:
    where = error.where if isinstance(error, PackError) else ""
    what = error.what if not where else str(error).partition("\n  fix: ")[0].removeprefix(f"{where}: ")
    return {"where": where, "what": what, "fix": error.fix}
