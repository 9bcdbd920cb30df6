"""The documents say what the code does: commands, paths, keys, fields, states, metrics and limits."""

import ast
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from infra.stack.redis import Redis
from infra.stack.site import ROOT
from pipeline import settings, telemetry
from pipeline.adapters.redis import ATOMIC, CHUNK, GONE_SECONDS
from pipeline.cli.main import COMMANDS
from pipeline.domain.alerts import Alert
from pipeline.domain.documents import Document
from pipeline.domain.names import encode, level_key
from pipeline.domain.shape import DETAIL
from pipeline.rules import load
from pipeline.settings import Worker
from tests.docs import served
from tests.docs.conftest import READ
from tests.docs.markdown import DOCUMENTS, anchors, blocks, links, spans, table, text

RUN_BY = {
    "make demo": "tests/docs/test_demo.py::demo",
    "make test": ".ci/run",
    "redis-cli -p PORT HGETALL 'stock:{TYRE-40}:SHOP'": (
        "tests/docs/test_demo.py::test_the_first_read_answers_what_the_readme_shows"
    ),
    "onhand plan": "tests/cli/test_plan.py::planned",
    "onhand apply": "tests/cli/test_apply.py::test_a_source_is_set_up_once_and_left_alone_the_second_time",
    "onhand worker": "tests/e2e/source.py::start_worker",
    "onhand status": "tests/cli/test_commands.py::test_before_apply_and_before_the_worker",
    "onhand get TYRE-40": "tests/cli/test_commands.py::test_get_shows_keys_with_their_dimensions_as_fields",
    "onhand verify": "tests/e2e/test_serving.py::test_verify_names_a_value_changed_by_hand_in_redis",
}
SNIPPETS = {"python": "read.py", "java": "Read.java", "js": "read.mjs"}


def commands() -> list[str]:
    return [line for block in blocks("README.md", "sh") for line in block.splitlines()]


def test_every_command_of_the_readme_is_one_that_ci_runs() -> None:
    assert set(commands()) == RUN_BY.keys()
    for command, place in RUN_BY.items():
        file, _, function = place.partition("::")
        source = (ROOT / file).read_text()
        if function:
            found = [f for f in ast.walk(ast.parse(source)) if isinstance(f, ast.FunctionDef) and f.name == function]
            assert found, place
            source = ast.get_source_segment(source, found[0]) or ""
        program, verb, *_ = command.split()
        typed = {"onhand": f'"{verb}"', "redis-cli": '"redis-cli"', "make": f"make {verb}"}[program]
        assert typed in source, f"{place} does not run {command}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_onhand_command_named_exists(document: str) -> None:
    typed = [line for language in ("sh", "") for block in blocks(document, language) for line in block.splitlines()]
    named = re.findall(
        r"(?:^|\s|/)onhand ([a-z][a-z-]*)", "\n".join([*spans(document), *[x for x in typed if "──" not in x]])
    )
    assert set(named) <= set(COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_and_path_leads_somewhere(document: str) -> None:
    for link in links(document):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = ((ROOT / document).parent / file) if file else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(str(target.relative_to(ROOT))), link
    for path in spans(document):
        if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", path):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_metric_named_exists(document: str) -> None:
    # a counter with labels has no sample before its first count
    known = {f"{f.name}_total" if f.type == "counter" else f.name for f in telemetry.REGISTRY.collect()}
    metrics = {name for span in spans(document) for name in re.findall(r"\bonhand_[a-z_]+", span)}
    assert metrics <= known


@pytest.mark.parametrize(("language", "file"), SNIPPETS.items())
def test_the_snippets_are_the_files(language: str, file: str) -> None:
    assert blocks("README.md", language) == [(READ / file).read_text()]


def test_the_settings_shown_are_right(tmp_path: Path) -> None:
    (shown,) = blocks("README.md", "toml")
    (tmp_path / "onhand.toml").write_text(shown)
    assert settings.load(tmp_path / "onhand.toml").source().name == "erp"


def test_keys_and_fields_are_those_that_are_served(serve: Callable[..., redis.Redis], redis_server: Redis) -> None:
    client = serve(("TYRE-40", "SHOP", 2, 12), degraded="4711: not a finite number")
    key = level_key("stock", "TYRE-40", "SHOP")
    held = set(client.scan_iter("stock:*"))
    assert held == {name.replace("ITEM", "TYRE-40").replace("WAREHOUSE", "SHOP") for name in _keys()}
    fields = {name for level in held if "{" in level for name in client.hgetall(level)}
    served.publish(redis_server.url, [Document(key, served.OFFSET + 1, 0, [])], client.hgetall("stock:meta"), [])
    fields |= client.hgetall(key).keys()
    shown = {
        name.replace("STATUS", "free").replace("WAREHOUSE", "SHOP") for name in table("README.md", "field of a level")
    }
    assert fields == shown
    assert client.ttl(key) <= GONE_SECONDS == 7 * 86400
    assert client.hgetall("stock:meta").keys() == table("README.md", "field of `stock:meta`").keys()
    assert client.xrange("stock:changes")[0][1]["key"] == key


def _keys() -> list[str]:
    """The keys of the README; its detail has a status too."""
    keys = table("README.md", "key").keys() - {"stock:scrub"}  # written by the worker's rounds, not with a cut
    return [f"{key},status=free" if "location=" in key else key for key in keys]


def test_words_and_numbers_of_the_contract() -> None:
    readme = text("README.md")
    detail = table("README.md", "key")["stock:{ITEM}:WAREHOUSE:location=A-1,lot=L-7"]
    assert tuple(re.findall(r"`(\w+)`", detail)) == DETAIL
    state = table("README.md", "field of `stock:meta`")["state"]
    assert set(re.findall(r"`(\w+)`", state)) == set(telemetry.STATES)
    alert = re.search(r"An alert is JSON with ((?:`\w+` ?)+)", readme)
    assert alert
    assert (*re.findall(r"\w+", alert[1]), "facts") == Alert.__slots__
    shipped = re.search(r"kinds that come\nwith onhand are (.*);", readme)
    assert shipped
    assert re.findall(r"`(\w+)`", shipped[1]) == [r.rule.kind for r in load()]
    assert f"up to {ATOMIC:,} documents" in readme
    assert f"in chunks of {CHUNK}" in readme
    assert f"127.0.0.1:{Worker().metrics_port}/metrics" in readme
    reserved = re.search(r"with `([^`]+)`, blanks\nand control characters percent-encoded", readme)
    assert reserved
    assert {c for c in map(chr, range(33, 127)) if encode(c) != c} == set(reserved[1].split())


def test_the_architecture_is_short_and_names_the_layers_there_are() -> None:
    architecture = text("ARCHITECTURE.md")
    assert len(architecture.splitlines()) <= 150
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = next(c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    drawn = next(line for line in architecture.splitlines() if "  ->  " in line).split("->")
    assert [re.findall(r"[\w.]+", layer) for layer in drawn] == [re.findall(r"[\w.]+", layer) for layer in layers]


def test_the_version_has_its_entry_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in text("CHANGELOG.md")
