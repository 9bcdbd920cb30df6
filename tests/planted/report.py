"""What the last whole runs showed, kept beside the tests."""

import json
from pathlib import Path
from typing import Any

_DATA, _TEXT = Path(__file__).parent / "last_run.json", Path(__file__).parent / "last_run.md"


def keep(kind: str, results: list[dict[str, Any]], *, whole: bool) -> None:
    """Keep the results of a run of all bugs, or of clean runs, beside what was kept of the other kind."""
    if not whole:
        return
    data = (json.loads(_DATA.read_text()) if _DATA.exists() else {}) | {kind: results}
    _DATA.write_text(json.dumps(data, indent=1) + "\n")
    _TEXT.write_text(_text(data))


def _text(data: dict[str, list[dict[str, Any]]]) -> str:
    planted, clean = data.get("planted", []), data.get("clean", [])
    bugs, alarms = [r for r in planted if r["bug"] != "none"], sum(r["false_alarms"] for r in clean)
    found = sum(r["found"] for r in bugs)
    return "\n".join([
        "# Planted bugs, and runs without one", "",
        f"`make planted`: {found} of {len(bugs)} found. `make planted CLEAN=10`: {alarms} false alarms in"
        f" {len(clean)} runs.", "",
        "Seconds and rounds count from the event after which it was found, the state is what readers were told then.",
        "`none` is the product as it is, put through all the same: there must be nothing to find.", "",
        *_table(planted, ("bug", "seed", "transactions", "found", "event", "seconds", "rounds", "keys", "layers",
                          "state")),
        "", "Clean runs: `behind` are rounds in which the feed was late, and so told.", "",
        *_table(clean, ("seed", "transactions", "rounds", "false_alarms", "behind", "failed", "compared",
                        "least_coverage", "connect_killed", "last")), "",
    ])  # fmt: skip


def _table(results: list[dict[str, Any]], columns: tuple[str, ...]) -> list[str]:
    rows = [[_cell(r.get(c, "")) for c in columns] for r in results]
    return [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
