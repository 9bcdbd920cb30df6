"""A small pack that works, in each dialect: what `onhand pack new` writes."""

import json
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from string import Template

from pipeline.domain.errors import UsageError


class Dialect(StrEnum):
    """The SQL of an ERP's database."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    TSQL = "tsql"
    ORACLE = "oracle"


_WORDS = {
    Dialect.POSTGRES: {
        "int": "integer", "flag": "smallint", "code": "varchar(40)", "text": "varchar(200)", "date": "date",
        "quantity": "numeric(18,4)", "today": "CURRENT_DATE",
    },
    Dialect.MYSQL: {
        "int": "int", "flag": "tinyint", "code": "varchar(40)", "text": "varchar(200)", "date": "date",
        "quantity": "decimal(18,4)", "today": "CURRENT_DATE",
    },
    Dialect.TSQL: {
        "int": "int", "flag": "tinyint", "code": "nvarchar(40)", "text": "nvarchar(200)", "date": "date",
        "quantity": "decimal(18,4)", "today": "CAST(GETDATE() AS date)",
    },
    Dialect.ORACLE: {
        "int": "NUMBER(10)", "flag": "NUMBER(1)", "code": "VARCHAR2(40)", "text": "VARCHAR2(200)", "date": "DATE",
        "quantity": "NUMBER(18,4)", "today": "TRUNC(SYSDATE)",
    },
}  # fmt: skip


def write(folder: Path, dialect: Dialect) -> list[Path]:
    """Fill `folder`, which must be empty or not there. Returns the files; UsageError where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", "name a new folder: nothing is written over")
        return [_fill(template, folder, dialect) for template in _templates()]
    except OSError as e:
        raise UsageError(f"{folder} cannot be written: {e.strerror}", "name a folder that you may write") from None


def _templates() -> list[Path]:
    return sorted(Path(str(files("pipeline") / "scaffold")).iterdir())


def _fill(template: Path, folder: Path, dialect: Dialect) -> Path:
    name = folder.resolve().name
    words = {"name": name, "title": json.dumps(name), "dialect": dialect.value, **_WORDS[dialect]}
    file = folder / template.name
    file.write_text(Template(template.read_text()).substitute(words))
    return file
