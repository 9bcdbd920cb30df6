"""`onhand pack new`: a pack that is good at once, in every dialect, and nothing written over."""

import sys
from pathlib import Path

import pytest

from tests.cli.packs import onhand

DIALECTS = ("postgres", "mysql", "tsql", "oracle")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_passes_the_check_at_once(
    dialect: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "sites" / 'a "new" one'
    assert onhand(monkeypatch, "pack", "new", str(folder), "--dialect", dialect) == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "NOTES.md", "cases.yaml", "items.sql", "movements.sql", "orders.sql", "pack.toml", "schema.sql", "stock.sql",
    ]  # fmt: skip
    assert f"next: onhand pack check {folder}" in capsys.readouterr().err
    assert onhand(monkeypatch, "pack", "check", str(folder)) == 0
    assert "good; 2 cases of 6 steps held" in capsys.readouterr().out


def test_every_key_of_pack_toml_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeline.manifest import Burst, Manifest, Param, Poll, Probe, Schema, Stock, Variant

    assert onhand(monkeypatch, "pack", "new", str(tmp_path / "p"), "--dialect", "postgres") == 0
    toml = (tmp_path / "p" / "pack.toml").read_text()
    for model in (Param, Stock, Schema, Variant, Probe, Burst, Poll, Manifest):
        for name, field in model.model_fields.items():
            assert (field.alias or name) in toml, f"{model.__name__}.{name}"


def test_nothing_is_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    for folder, said in ((tmp_path, "is not empty"), (tmp_path / "mine", "cannot be written: File exists")):
        assert onhand(monkeypatch, "pack", "new", str(folder), "--dialect", "mysql") == 2
        assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_was_typed_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert onhand(monkeypatch, "pack", "new", str(tmp_path / "p"), "--dialect", "sap") == 2
    assert onhand(monkeypatch, "pack", "new", str(tmp_path / "p")) == 2
    assert not (tmp_path / "p").exists()
    assert sys.argv[0] == "onhand"
