"""What a mutant is tried against: the recorded answers of the databases, then tests that need no server."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from types import CodeType, FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.mutants import FILES, ROOT
from tests.query.recorded.case import FILE, load

_ENGINE = ("constructs", "expressions", "joins", "tables", "pks", "render", "refusals")
TESTS = ("tests/domain", *(f"tests/query/test_{m}.py" for m in _ENGINE))
_RECORD = "record: "
_MUTATED = {str(ROOT / file) for file in FILES}
Function = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Check:
    """`run` raises when it finds something; `lines`: those it runs, by (file, qualified name) of the function."""

    name: str
    run: Callable[[], None]
    seconds: float = 0.0
    lines: dict[Function, set[int]] = field(default_factory=dict)

    @property
    def of_record(self) -> bool:
        return self.name.startswith(_RECORD)


def record(file: Path = FILE) -> list[Check]:
    return [Check(_RECORD + case.name, case.replay) for case in load(file)]


def tests(items: list[pytest.Item]) -> list[Check]:
    """A check of each test; while pytest's session lasts."""
    return [Check(item.nodeid, lambda item=item: _run(item)) for item in items if _is_plain(item)]


def _is_plain(item: pytest.Item) -> bool:
    """Needs no server, and is not about rows on disk."""
    return "servers" not in item.fixturenames and "disk" not in item.name


def _run(item: pytest.Item) -> None:
    for report in runtestprotocol(item, log=False, nextitem=None):
        assert not report.failed, report.longreprtext


def measured(check: Check) -> Check:
    """With the lines it runs and the time it takes, in seconds of CPU time."""
    began = process_time()
    check.run()
    return replace(check, seconds=max(process_time() - began, 0.001), lines=_lines(check.run))


def _lines(run: Callable[[], None]) -> dict[Function, set[int]]:
    found: dict[CodeType, set[int]] = {}

    def note(frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in _MUTATED:
            return None
        found.setdefault(frame.f_code, set()).add(frame.f_lineno)
        return note

    sys.settrace(note)
    try:
        run()
    finally:
        sys.settrace(None)
    lines: dict[Function, set[int]] = {}
    for code, numbers in found.items():
        file = str(Path(code.co_filename).relative_to(ROOT))
        lines.setdefault((file, code.co_qualname.partition(".<locals>")[0]), set()).update(numbers)
    return lines
