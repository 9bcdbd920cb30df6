"""The files of a pack: its SQL, its pack.toml, its schema and its cases."""

from collections.abc import Callable
from typing import Any

from tests.fuzz import pack_files, pack_sql, pack_toml
from tests.fuzz.run import Part, hunt

PARTS = {
    "files": Part(pack_files.examples, pack_files.outcome),
    "toml": Part(pack_toml.examples, pack_toml.outcome),
    "sql": Part(pack_sql.examples, pack_sql.outcome, 5),
}
COVERED = ("pipeline.pack", "pipeline.manifest", "pipeline.cases", "pipeline.query")


def run(seconds: float, seed: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Try for so long."""
    return hunt("pack", PARTS, seconds, seed, say)
