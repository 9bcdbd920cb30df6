"""`onhand.toml`: what is read, and that every mistake is named at once with what to write."""

from pathlib import Path

import pytest

from pipeline import settings
from pipeline.domain.errors import SettingsError, UsageError

GOOD = """
[sources.erp]
pack = "tryton"
database = "postgresql://cdc@127.0.0.1:5433/erp?sslmode=require"
password_file = "secrets/erp"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "onhand.toml"


def wrong(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        settings.load(file)
    assert error.value.exit_code == 2
    assert error.value.fix
    return str(error.value)


def test_names_follow_from_the_source(file: Path) -> None:
    file.write_text(GOOD)
    source = settings.load(file).source()
    assert source.name == "erp"
    assert (source.log_topic, source.alerts_topic) == ("onhand.erp.log", "onhand.erp.alerts")
    assert (source.group, source.connector, source.slot_name) == ("onhand.erp", "onhand-erp", "onhand_erp")
    assert source.placeholder == f"${{dir:{file.parent / 'secrets'}:erp}}"


@pytest.mark.parametrize("way", ["here", "variable", "argument"])
def test_the_file_is_found(file: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    named = file if way == "here" else file.with_name("other.toml")
    named.write_text(GOOD)
    if way == "variable":
        monkeypatch.setenv("ONHAND_CONFIG", str(named))
    assert settings.load(named if way == "argument" else None).source().pack == "tryton"


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(GOOD)
    monkeypatch.setenv("ONHAND_KAFKA__BOOTSTRAP_SERVERS", "b1:9092,b2:9092")
    monkeypatch.setenv("ONHAND_SOURCES__ERP__PARAMS", '{"orgs": [1, 2]}')
    monkeypatch.setenv("ONHAND_SOURCES__ERP__PASSWORD", "from-the-environment")
    loaded = settings.load(file)
    assert loaded.kafka.bootstrap_servers == "b1:9092,b2:9092"
    assert loaded.source().params == {"orgs": [1, 2]}
    assert loaded.source().pack == "tryton"
    assert loaded.source().secret == "from-the-environment"
    assert "from-the-environment" not in repr(loaded)


def test_a_source_may_come_from_the_environment_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_SOURCES__SHOP__PACK", "tryton")
    monkeypatch.setenv("ONHAND_SOURCES__SHOP__DATABASE", "postgresql://cdc@db/shop")
    assert settings.load().source("shop").log_topic == "onhand.shop.log"


def test_every_mistake_is_told_at_once(file: Path) -> None:
    told = wrong(
        file,
        GOOD
        + """
colour = "red"
time_zone = "Mars/Phobos"
poll_interval_ms = 0
[kafka]
bootstrap_servers = "localhost"
[sources.Other]
pack = "tryton"
""",
    )
    for where in (
        "[sources.erp] colour: there is no such setting; known here: pack,",
        "[sources.erp] time_zone: is not a time zone; write one such as",
        "[sources.erp] poll_interval_ms",
        "[kafka] bootstrap_servers",
        "[sources.Other] name",
        "[sources.Other] database: is missing",
        "6 settings are wrong",
    ):
        assert where in told
    assert str(file) in told


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (GOOD + 'password = "s3cret"', "password_file"),
        (GOOD.replace("cdc@", "cdc:s3cret@"), "password_file"),
        (GOOD + 'connect_password = "s3cret"', "placeholder"),
        (GOOD + '[redis]\nurl = "redis://:s3cret@h/0"', "password_file"),
        (GOOD + '[kafka]\nsasl_password = "s3cret"', "sasl_password_file"),
    ],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(file: Path, text: str, fix: str) -> None:
    told = wrong(file, text)
    assert fix in told
    assert "s3cret" not in told


def test_a_wrong_variable_is_named_as_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_WORKER__METRICS_PORT", "99999")
    assert "ONHAND_WORKER__METRICS_PORT: " in wrong(file, GOOD)


def test_broken_json_in_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_SOURCES__ERP__PARAMS", "{orgs: 1")
    assert "JSON" in wrong(file, GOOD)


def test_not_toml(file: Path) -> None:
    assert "line 1" in wrong(file, "[kafka\nx = 1")


def test_a_named_file_must_exist(file: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(file)


def test_password_file_that_cannot_be_read(file: Path) -> None:
    file.write_text(GOOD)
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        _ = settings.load(file).source().secret


def test_rows_on_disk_need_a_place(file: Path) -> None:
    told = wrong(file, GOOD + 'rows = "disk"')
    assert 'source erp has rows = "disk"; set [worker] directory' in told
    file.write_text(GOOD + 'rows = "disk"\n[worker]\ndirectory = "rows"')
    loaded = settings.load(file)
    assert (loaded.source().rows, loaded.worker.directory) == ("disk", file.parent / "rows")
    assert "[sources.erp] rows" in wrong(file, GOOD + 'rows = "tape"')


def test_two_sources_need_a_name(file: Path) -> None:
    file.write_text(GOOD + GOOD.replace("sources.erp", "sources.shop") + 'prefix = "shop"')
    with pytest.raises(UsageError, match="erp, shop"):
        settings.load(file).source()
    with pytest.raises(UsageError, match="no source 'nope'"):
        settings.load(file).source("nope")
    assert settings.load(file).source("shop").name == "shop"


def test_two_sources_may_not_write_the_same_keys(file: Path) -> None:
    assert "prefix" in wrong(file, GOOD + GOOD.replace("sources.erp", "sources.shop"))


def test_no_source_at_all(file: Path) -> None:
    with pytest.raises(SettingsError, match="no source"):
        settings.load().source()


def test_a_variable_nested_without_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONHAND_KAFKA", "[" * 2000)
    assert "nested without end" in wrong(file, GOOD)


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000])
def test_a_value_without_end(file: Path, value: str) -> None:
    assert "is not TOML" in wrong(file, f"[kafka]\nreplication_factor = {value}")
