"""`onhand pack check`: what it says of good packs and of broken ones."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.packs import BROKEN, Broken, broken, onhand, scaffold
from tests.query.schemas import DIALECTS, PACKS, PARAMS

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Type a command in the test's folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = onhand(monkeypatch, *arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def test_tryton_is_explained(typed: Typed) -> None:
    code, out, _ = typed("pack", "check", "tryton")
    assert code == 0, out
    out = re.sub(" +", " ", out)
    for line in (
        "orgs list of int [1] cases.yaml ids of the companies whose stock is served together",
        "product_product id, code",
        "stock item_id, warehouse_id, location_id, lot_id identity tell rows apart",
        "stock on_hand, reserved amount come from doubles: compared at 0.000001",
        "stock LEFT JOIN stock_lot (id) primary key stock_move (lot)",
        "a publication of the captured tables and columns",
        "stock_move product none in schema.sql",
        "pack check: tryton: good; 8 cases of 28 steps held plain, doubled and in 5 other orders",
    ):
        assert line in out, line


def test_the_same_as_json(typed: Typed) -> None:
    code, out, err = typed("pack", "check", "tryton", "--param", "orgs=1,2", "-o", "json", "--shuffles", "1")
    found = json.loads(out)
    assert (code, found["refused"], found["failed"]) == (0, [], [])
    assert found["parameters"][0]["value"] == "[1, 2]"
    assert {"table": "stock_lot", "columns": ["id", "number"]} in found["captured"]
    assert found["joins"][0]["unique by"] == "primary key"
    assert "good; 8 cases" in err


@pytest.mark.parametrize("mistake", BROKEN, ids=lambda m: m.name)
def test_a_broken_pack_is_told_with_place_and_fix(mistake: Broken, typed: Typed, tmp_path: Path) -> None:
    broken(tmp_path / "my-erp", mistake)
    code, out, err = typed("pack", "check", "my-erp")
    assert code == mistake.code, out + err
    line, *fix = out[out.index("my-erp/") :].splitlines()[:2]
    assert line.startswith(f"my-erp/{mistake.place}"), out
    assert mistake.says in " ".join([line, *fix]), out
    assert mistake.fix in fix[0], out


def test_every_file_is_looked_at(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")
    for name, old, new in (
        ("stock.sql", "b.reserved", "b.reservd"),
        ("items.sql", "a.unit", "a.units"),
        ("cases.yaml", "expect: {}", "expect: {stocks: []}"),
        ("pack.toml", "# [schema]", '[schema]\nunique = { lot = [["kode"]] }\n# '),
    ):
        (folder / name).write_text((folder / name).read_text().replace(old, new))
    code, out, _ = typed("pack", "check", "my-erp")
    refused = out.partition("Refused")[2]
    assert code == 2
    assert [name for name in ("stock.sql:", "items.sql:", "cases.yaml:", "pack.toml: [schema]") if name in refused] == [
        "stock.sql:",
        "items.sql:",
        "cases.yaml:",
        "pack.toml: [schema]",
    ]
    assert "4 things refused" in out
    assert "movements   qty" in out, "what is right is shown all the same"


def test_cases_that_are_no_yaml_are_refused_once(typed: Typed, tmp_path: Path) -> None:
    (scaffold(tmp_path / "my-erp") / "cases.yaml").write_text("cases: [")
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 2
    assert out.count("my-erp/cases.yaml:1:9: is not YAML as cases are written") == 1
    assert "1 thing refused" in out


def test_every_wrong_key_of_pack_toml_is_named(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")
    (folder / "pack.toml").write_text('title = "x"\n[stock]\nauthority = "bin"\n[[probe]]\nsays = "y"\nsqll = "z"\n')
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 2
    for said in (
        "dialect: is missing",
        "line 3: stock.authority: Input should be",
        "line 6: probe.0.sqll: there is no",
    ):
        assert said in out, said


def test_what_was_typed_wrong(typed: Typed, tmp_path: Path) -> None:
    scaffold(tmp_path / "my-erp")
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (["nowhere"], "there is no folder nowhere"),
        (["empty"], "empty holds no pack.toml"),
        (["my-erp", "--param", "company=1"], "no parameter company"),
        (["my-erp", "--param", "companies"], "not NAME=VALUE"),
    ):
        code, out, err = typed("pack", "check", *arguments)
        assert (code, out) == (2, ""), arguments
        assert said in err
        assert "fix: " in err


def test_parameters_come_from_the_command_the_default_or_the_cases(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")

    def bound(*arguments: str) -> tuple[str, str]:
        row = json.loads(typed("pack", "check", "my-erp", "-o", "json", *arguments)[1])["parameters"][0]
        return row["value"], row["from"]

    assert bound("--param", "companies=1,7") == ("[1, 7]", "--param")
    assert bound() == ("[1]", "default")
    toml = folder / "pack.toml"
    toml.write_text("\n".join(line for line in toml.read_text().splitlines() if not line.startswith("default")))
    assert bound() == ("[1]", "cases.yaml")
    cases = folder / "cases.yaml"
    cases.write_text(cases.read_text().replace("params: {companies: [1]}", ""))
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 2
    assert "companies is missing" in out
    assert "--param companies=1,.." in out
    assert typed("pack", "check", "my-erp", "--param", "companies=1")[0] == 0


def test_keys_that_pack_toml_declares(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")
    for name, old, new in (
        ("stock.sql", "l.id = b.lot", "l.code = b.quality"),
        ("pack.toml", "# [schema]", '[schema]\nunique = { lot = [["code"]] }\n# '),
    ):
        (folder / name).write_text((folder / name).read_text().replace(old, new))
    _, out, _ = typed("pack", "check", "my-erp", "--shuffles", "0")
    assert "LEFT JOIN   lot (code)        [schema] of pack.toml   balance (quality)" in out


def test_a_column_that_a_site_may_lack(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")
    for name, old, new in (
        ("stock.sql", "  b.quantity AS", "  b.owner,\n  b.quantity AS"),
        ("pack.toml", "# [schema]", '[schema]\noptional = { "balance.owner" = "varchar(40)" }\n# '),
    ):
        (folder / name).write_text((folder / name).read_text().replace(old, new))
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 0, out
    assert "item_id, warehouse_id, lot_id, status, owner" in out
    schema = folder / "schema.sql"
    schema.write_text(schema.read_text().replace("  lot integer,", "  lot integer,\n  owner varchar(40),"))
    assert "lot, owner, quality" in typed("pack", "check", "my-erp")[1]


def test_a_pack_without_cases_or_schema(typed: Typed, tmp_path: Path) -> None:
    folder = scaffold(tmp_path / "my-erp")
    (folder / "cases.yaml").unlink()
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 0
    assert "there is no cases.yaml: nothing shows" in out
    (folder / "schema.sql").unlink()
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 2
    assert "my-erp/schema.sql: is not there, and no database is at hand" in out


def test_reserved_that_the_query_does_not_yield(typed: Typed, tmp_path: Path) -> None:
    stock = scaffold(tmp_path / "my-erp") / "stock.sql"
    stock.write_text(
        stock.read_text().replace("  b.quantity AS on_hand,\n  b.reserved AS reserved", "  b.quantity AS on_hand")
    )
    code, out, _ = typed("pack", "check", "my-erp")
    assert code == 2
    assert 'reserved = "stock", but stock.sql yields no reserved' in out


@pytest.mark.parametrize("name", DIALECTS)
def test_the_drafted_packs(name: str, typed: Typed, tmp_path: Path) -> None:
    shutil.copytree(PACKS / name, tmp_path / name)
    kinds = {"str": "text", "int": "int", "date": "date"}
    lines = [f'title = "{name}"', f'dialect = "{DIALECTS[name]}"', '[stock]\nreserved = "none"']
    for param, value in PARAMS[name].items():
        one = value[0] if isinstance(value, list) else value
        lines.append(f'[params.{param}]\ntype = "{kinds[type(one).__name__]}"\nlist = {str(value != one).lower()}')
        lines.append(f"default = {value if type(one).__name__ == 'date' else json.dumps(value)}")
    (tmp_path / name / "pack.toml").write_text("\n".join(lines))
    schema = tmp_path / name / "schema.sql"
    if name == "t100":  # whose queries name their schema
        schema.write_text(schema.read_text().replace("CREATE TABLE ", "CREATE TABLE dsdata."))
    code, out, _ = typed("pack", "check", name)
    assert code == 0, out
    for title in ("Captured columns", "What the queries yield", "What the ERP needs"):
        assert title in out
    assert out.rstrip().endswith(f"pack check: {name}: good, and no cases")
