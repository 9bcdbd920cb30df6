"""Is MariaDB ready to be captured? Each lack with the SQL that mends it."""

from typing import Any

import sqlalchemy as sa

from pipeline.adapters import erp_mysql
from pipeline.adapters.lack import Captured, Lack
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import RefusedError

NEEDED = ("RELOAD", "REPLICATION SLAVE", "BINLOG MONITOR")
_ALIASES = {"REPLICATION CLIENT": "BINLOG MONITOR"}  # its name before 10.5
_KEEP_S = 3 * 86_400
_BINLOG = {
    "log_bin": ("1", "log_bin = binlog"),
    "binlog_format": ("ROW", "binlog_format = ROW"),
    "binlog_row_image": ("FULL", "binlog_row_image = FULL"),
}


def lacks(c: sa.Connection, catalog: Catalog, captured: Captured) -> list[Lack]:
    """Everything that is missing."""
    return [*_binlog(c), *_order(c), *_rights(c), *_keys(catalog, captured)]


def warnings(c: sa.Connection) -> list[str]:
    """What will not hold for long."""
    kept = int(_variable(c, "binlog_expire_logs_seconds"))
    if not 0 < kept < _KEEP_S:
        return []
    return [f"the binlog is kept for {kept / 3600:.0f} h: capture that stands still longer needs a new snapshot"]


def _variable(c: sa.Connection, name: str) -> Any:
    return c.exec_driver_sql(f"SELECT @@{name}").scalar_one()


def _binlog(c: sa.Connection) -> list[Lack]:
    found = {name: str(_variable(c, name)) for name in _BINLOG}
    return [
        Lack(
            f"{name} is {found[name]}, not {wanted}", f"write {line} below [mariadbd] of its configuration; restart it"
        )
        for name, (wanted, line) in _BINLOG.items()
        if found[name] != wanted
    ]


def _order(c: sa.Connection) -> list[Lack]:
    try:
        erp_mysql.last_gtid(c)
    except RefusedError as e:
        return [Lack(e.what, e.fix)]
    return []


def _rights(c: sa.Connection) -> list[Lack]:
    lines = [str(line) for line in c.exec_driver_sql("SHOW GRANTS").scalars()]
    given = {right for line in lines if " ON *.* TO " in line for right in _listed(line)}
    missing = [right for right in NEEDED if not given & {right, "ALL PRIVILEGES"}]
    role = str(c.exec_driver_sql("SELECT CURRENT_USER()").scalar_one()).partition("@")
    if not missing:
        return []
    fix = f"GRANT {', '.join(missing)} ON *.* TO `{role[0]}`@`{role[2]}`;"
    return [Lack(f"{role[0]} lacks the right {', '.join(missing)}", fix)]


def _listed(grant: str) -> list[str]:
    rights = grant.removeprefix("GRANT ").partition(" ON *.* TO ")[0].split(", ")
    return [_ALIASES.get(right, right) for right in rights]


def _keys(catalog: Catalog, captured: Captured) -> list[Lack]:
    return [
        Lack(f"table {t} has no primary key, its rows cannot be told apart", f"ALTER TABLE {t} ADD PRIMARY KEY (..);")
        for t in captured
        if not catalog.tables[t].primary_key
    ]
