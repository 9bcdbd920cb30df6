"""The generated code of every shipped query, as committed: a change of it is made on purpose, and read.

    python -m tests.query.test_golden

writes the files anew.
"""

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.domain.catalog import Catalog
from pipeline.query import MappingText, compile_source
from pipeline.query.parse import Params
from tests.query.schemas import DIALECTS, catalog_of, pack

GOLDEN = Path(__file__).parent / "golden"
CONNECTORS = Path(__file__).parents[2] / "connectors"
COMMAND = "python -m tests.query.test_golden"


def shipped() -> Iterator[tuple[str, MappingText, Catalog, Params]]:
    """(file below GOLDEN, query, catalog, parameters) of each query of the packs and of the drafts."""
    for manifest in sorted(CONNECTORS.glob("*/pack.toml")):
        folder, dialect = manifest.parent, tomllib.loads(manifest.read_text())["dialect"]
        catalog = catalog_of((folder / "schema.sql").read_text(), dialect)
        params = yaml.safe_load((folder / "cases.yaml").read_text()).get("params", {})
        for file in sorted(folder.glob("*.sql")):
            if file.stem != "schema":
                text = MappingText(file.stem, file.read_text(), file.name)
                yield f"connectors/{folder.name}/{file.stem}.txt", text, catalog, params
    for name in DIALECTS:
        catalog, texts, params = pack(name)
        for text in texts:
            yield f"drafts/{name}/{text.kind}.txt", text, catalog, params


QUERIES = {name: query for name, *query in shipped()}


def generated(name: str) -> str:
    text, catalog, params = QUERIES[name]
    return compile_source([text], catalog, params).source


@pytest.mark.parametrize("name", QUERIES)
def test_generated_code_is_the_committed_one(name: str) -> None:
    committed = (GOLDEN / name).read_text() if (GOLDEN / name).exists() else ""
    now = generated(name)
    diff = "\n".join(
        difflib.unified_diff(committed.splitlines(), now.splitlines(), "committed", "generated", "", "", 2)
    )
    assert now == committed, f"{name} is generated otherwise; if that is meant, run `{COMMAND}`\n{diff}"


def test_every_committed_file_is_of_a_shipped_query() -> None:
    assert {str(p.relative_to(GOLDEN)) for p in GOLDEN.rglob("*.txt")} == set(QUERIES)


def write() -> None:
    for old in GOLDEN.rglob("*.txt"):
        old.unlink()
    for name in QUERIES:
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_text(generated(name))


if __name__ == "__main__":
    write()
