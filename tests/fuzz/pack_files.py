"""schema.sql and cases.yaml of a pack, as `onhand pack check` reads them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from pipeline.cli.pack_check import CASES, SCHEMA, examine
from pipeline.cli.pack_new import Dialect, write
from tests.fuzz.lines import changed


def _good() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as home:
        write(Path(home) / "good", Dialect.POSTGRES)
        return {file.name: file.read_text() for file in (Path(home) / "good").iterdir()}


GOOD = _good()
_TYPES = (
    "numeric(1000,999)",
    "numeric(-1)",
    "jsonb",
    "int[]",
    "PRIMARY KEY",
    "UNIQUE",
    "CHECK (1)",
    "varchar(0)",
    "--",
)


@dataclass(frozen=True)
class Example:
    """A file of the pack that is not as it should be."""

    file: str
    content: bytes


def examples() -> st.SearchStrategy[Example]:
    """Each of the two files, changed."""
    schema, cases = changed(GOOD[SCHEMA], _TYPES), changed(GOOD[CASES])
    return st.builds(Example, st.just(SCHEMA), schema) | st.builds(Example, st.just(CASES), cases)


def outcome(example: Example) -> str:
    """`refused`, `failed` or `held`; AssertionError for a refusal without a fix."""
    with tempfile.TemporaryDirectory() as home:
        for name, text in GOOD.items():
            (Path(home) / name).write_text(text)
        (Path(home) / example.file).write_bytes(example.content)
        report = examine(Path(home), {}, 0)
    for error in report.refused:
        if not error.fix:
            raise AssertionError(f"no fix: {error}")
    return "refused" if report.refused else "failed" if report.failures else "held"
