"""What the ERP's database administrator does once: a role that may read little, and a publication of just that."""

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql
from psycopg.sql import Composed, Identifier, Literal

Captured = Mapping[str, Sequence[str]]
"""Captured columns by table, tables as `schema.table`."""


def allow_capture(url: str, captured: Captured, password: str, role: str = "cdc", publication: str = "onhand") -> None:
    """Create the role and the publication in the database that `url`, an administrator's, names."""
    with psycopg.connect(url) as administrator:
        for statement in statements(captured, password, role, publication):
            administrator.execute(statement)


def statements(captured: Captured, password: str, role: str, publication: str) -> list[Composed]:
    """The SQL: log in and replicate, read the captured columns, publish the captured columns. Nothing else."""
    who = Identifier(role)
    published = [sql.SQL("{} ({})").format(_name(table), _columns(names)) for table, names in captured.items()]
    return [
        sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(who, Literal(password)),
        *(_grant(table, names, who) for table, names in captured.items()),
        sql.SQL("CREATE PUBLICATION {} FOR TABLE {}").format(Identifier(publication), sql.SQL(", ").join(published)),
    ]


def _grant(table: str, names: Sequence[str], role: Identifier) -> Composed:
    return sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(_columns(names), _name(table), role)


def _columns(names: Sequence[str]) -> Composed:
    return sql.SQL(", ").join(map(Identifier, names))


def _name(table: str) -> Identifier:
    return Identifier(*table.split("."))
