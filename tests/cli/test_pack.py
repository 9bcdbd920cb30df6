"""A pack's folder: what is loaded of it, how parameters are bound, and what is said of a wrong one."""

from datetime import date
from pathlib import Path

import pytest

from pipeline import applied, pack
from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.domain.errors import PackError, SettingsError, UsageError

MANIFEST = """
title = "Test"
dialect = "postgres"
[params.orgs]
type = "int"
list = true
help = "companies to serve"
[params.since]
type = "date"
default = 2026-01-01
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    base.mkdir()
    (base / "pack.toml").write_text(MANIFEST)
    (base / "stock.sql").write_text("SELECT 1")
    (base / "items.sql").write_text("SELECT 2")
    return base


def test_every_pack_that_comes_with_onhand_loads(subtests: pytest.Subtests) -> None:
    assert "tryton" in pack.known()
    for name in pack.known():
        with subtests.test(name):
            assert pack.load(name, {"orgs": [1]}).texts


def test_texts_and_typed_parameters(folder: Path) -> None:
    loaded = pack.load(str(folder), {"orgs": ["1", 2]})
    assert [(t.kind, t.sql) for t in loaded.texts] == [("stock", "SELECT 1"), ("items", "SELECT 2")]
    assert loaded.texts[0].file == str(folder / "stock.sql")
    assert loaded.params == {"orgs": [1, 2], "since": date(2026, 1, 1)}


def test_the_digest_changes_with_what_is_served_only(folder: Path) -> None:
    digest = pack.load(str(folder), {"orgs": [1]}).digest
    assert pack.load(str(folder), {"orgs": [1]}).digest == digest
    assert pack.load(str(folder), {"orgs": [2]}).digest != digest
    (folder / "pack.toml").write_text(MANIFEST + '[[probe]]\nsays = "x"\nsql = "SELECT 1"')
    assert pack.load(str(folder), {"orgs": [1]}).digest == digest
    (folder / "stock.sql").write_text("SELECT 3")
    assert pack.load(str(folder), {"orgs": [1]}).digest != digest


def test_a_pack_that_extends_another_replaces_single_files(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "pack.toml").write_text(f'extends = "{folder}"\ntitle = "Ours"')
    (own / "stock.sql").write_text("SELECT 9")
    loaded = pack.load(str(own), {"orgs": [1]})
    assert [t.sql for t in loaded.texts] == ["SELECT 9", "SELECT 2"]
    assert (loaded.manifest.title, loaded.dialect) == ("Ours", "postgres")


def test_packs_that_extend_each_other(folder: Path) -> None:
    (folder / "pack.toml").write_text(f'extends = "{folder}"\n' + MANIFEST)
    with pytest.raises(PackError, match="extends itself"):
        pack.load(str(folder), {"orgs": [1]})


def test_a_variant_is_chosen_by_the_columns_that_exist(folder: Path) -> None:
    (folder / "pack.toml").write_text(MANIFEST + '[[variant]]\nname = "v9"\nneeds = ["move.lot"]')
    (folder / "v9").mkdir()
    (folder / "v9" / "stock.sql").write_text("SELECT 'v9'")
    old = Catalog.of("postgres", Table("public.move", {"id": Column("id", "integer")}, ("id",)))
    new = Catalog.of("postgres", Table("public.move", {"lot": Column("lot", "integer")}, ("id",)))
    assert pack.load(str(folder), {"orgs": [1]}, old).texts[0].sql == "SELECT 1"
    assert pack.load(str(folder), {"orgs": [1]}, new).texts[0].sql == "SELECT 'v9'"


def test_unique_keys_the_erp_never_declared(folder: Path) -> None:
    (folder / "pack.toml").write_text(MANIFEST + '[schema]\nunique = { move = [["a", "b"]] }')
    catalog = Catalog.of("postgres", Table("public.move", {}, ("id",), (("c",),)))
    completed = pack.load(str(folder), {"orgs": [1]}).complete(catalog)
    assert completed.tables["public.move"].unique == (("c",), ("a", "b"))


def test_unknown_pack_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)no pack 'sap'.*tryton"):
        pack.load("sap", {})
    with pytest.raises(UsageError, match=r"holds no pack\.toml"):
        pack.load(str(tmp_path), {})


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "(?s)orgs is missing.*companies to serve.*orgs = "),
        ({"orgs": 1}, "orgs is not a list of int"),
        ({"orgs": ["x"]}, "orgs is not a list of int"),
        ({"orgs": [1], "since": "soon"}, "since is not date"),
        ({"orgs": [1], "org": 1}, "(?s)no parameter org.*orgs, since"),
    ],
)
def test_wrong_parameters(folder: Path, params: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        pack.load(str(folder), params)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = ", "pack.toml: is not TOML"),
        ('title = "x"', "dialect: is missing"),
        (MANIFEST + '[stock]\nreserved = "maybe"', "stock.reserved"),
        (MANIFEST + "[stok]", "stok"),
    ],
)
def test_wrong_manifest_names_the_file(folder: Path, text: str, says: str) -> None:
    (folder / "pack.toml").write_text(text)
    with pytest.raises(PackError, match=says):
        pack.load(str(folder), {"orgs": [1]})


def test_a_pack_without_sql(tmp_path: Path) -> None:
    (tmp_path / "pack.toml").write_text('title = "x"\ndialect = "postgres"')
    with pytest.raises(PackError, match="no SQL"):
        pack.load(str(tmp_path), {})


def test_parameters_survive_being_stored() -> None:
    params = {"orgs": [1], "since": date(2026, 1, 1), "days": [date(2026, 1, 2)], "name": "2026-01-01"}
    record = applied.Applied(
        name="erp", epoch=1, applied_at=2, pack="p", dialect="postgres", digest="d", catalog={}, texts=[],
        bound=applied.plain(params), stock={}, time_zone="UTC", prefix="stock", topics={},
    )  # fmt: skip
    assert applied.Applied.from_json(record.to_json()).params == params
