"""Packs to check, in a folder of the test: the one that `onhand pack new` writes, with one thing of it broken."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli import main, pack_new


@dataclass(frozen=True)
class Broken:
    """One mistake: in `file` the text `old` became `new`; what is said of it, with its place and its fix."""

    name: str
    file: str
    old: str
    new: str
    place: str
    says: str
    fix: str
    code: int = 2


BROKEN = [
    Broken("a construct that is no part of a mapping", "stock.sql", "b.quantity AS", "ROUND(b.quantity, 0) AS",
           "stock.sql:11:3", "ROUND is not part of a mapping query", "yield the stored number"),
    Broken("an unknown column", "stock.sql", "b.reserved AS", "b.reservd AS",
           "stock.sql:12:5", "no such column in the ERP's catalog: b.reservd", "correct its name: reserved?"),
    Broken("an unknown table", "stock.sql", "FROM balance b", "FROM balances b",
           "stock.sql:13:6", "no such table in the ERP's catalog: balances AS b", "correct its name: balance?"),
    Broken("a join that does not cover a key", "stock.sql", "ON w.id = b.warehouse", "ON w.code = b.quality",
           "stock.sql:15:", "JOIN public.warehouse does not cover a key", "primary or a unique key (id)"),
    Broken("a missing output", "stock.sql", "  b.warehouse AS warehouse_id,\n  w.code AS warehouse,\n", "",
           "stock.sql:4:16", "stock.sql must yield warehouse: SELECT b.article AS item_id", "add .. AS warehouse"),
    Broken("a misspelled output", "stock.sql", "AS on_hand", "AS onhand",
           "stock.sql:11:", "onhand is no column of stock.sql", "correct its name: on_hand?"),
    Broken("another dialect's function", "stock.sql", "a.code AS item", "NVL(a.code, '?') AS item",
           "stock.sql:5:3", "NVL() is not part of a postgres mapping query", "COALESCE"),
    Broken("a pack.toml that is no TOML", "pack.toml", 'reserved = "stock"', "reserved = stock",
           "pack.toml:15:12", "is not TOML: Invalid value", "correct that line"),
    Broken("an unknown key in pack.toml", "pack.toml", 'reserved = "stock"', 'reservd = "stock"',
           "pack.toml:15:1", "stock.reservd: there is no such key", "write reserved"),
    Broken("a missing parameter", "stock.sql", "(:companies)", "(:company)",
           "stock.sql:17:21", "parameter :company has no value", "declare [params.company] in pack.toml"),
    Broken("a case that expects something else", "cases.yaml", "on_hand: 12, reserved: 0}", "on_hand: 13, reserved: 0}",
           "cases.yaml:11:5", "on_hand expected 13, came 12", "", 1),
    Broken("a column whose type the engine cannot use", "schema.sql", "lot integer", "lot bytea",
           "stock.sql:16:29", "a column of type BYTEA: lot", "leave it out"),
    Broken("a case with a column that is not there", "cases.yaml", "code: BOLT", "kode: BOLT",
           "cases.yaml:5:21", "article has no column kode", "it has id, code"),
    Broken("a case with a value of another type", "cases.yaml", "code: BOLT", "code: 010",
           "cases.yaml:5:27", "article.code is a text, not 010", "quote it: '010'"),
    Broken("a schema that cannot be read", "schema.sql", "(40) NOT NULL,\n  title", "(40 NOT NULL,\n  title",
           "schema.sql:4:", "the schema cannot be read near", "CREATE TABLE"),
]  # fmt: skip


def scaffold(folder: Path, dialect: str = "postgres") -> Path:
    """A pack as `pack new` writes it."""
    pack_new.write(folder, pack_new.Dialect(dialect))
    return folder


def broken(folder: Path, mistake: Broken) -> Path:
    """The same with a mistake in it."""
    file = scaffold(folder) / mistake.file
    assert file.read_text().count(mistake.old) == 1, mistake.name
    file.write_text(file.read_text().replace(mistake.old, mistake.new))
    return folder


def onhand(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Type a command; its exit code."""
    monkeypatch.setattr(sys, "argv", ["onhand", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code or 0
