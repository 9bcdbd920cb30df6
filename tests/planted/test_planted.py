"""The planted bugs apply to the source as it is, are nowhere but here, and verify finds them (all: `make planted`)."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.stack import Stack
from tests.planted.bugs import PRODUCT, ROOT, bugs, copy_product
from tests.planted.run import try_out

BY_NAME = {bug.name: bug for bug in bugs()}
FOR_REAL = ("doubled", "warehouse")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Each file in the wheel as it is built from a clean copy of the project."""
    directory = tmp_path_factory.mktemp("wheel")
    project = copy_product(directory / "project", None)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    for name in ("connectors", "tests", "bench"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(project)], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(directory), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as built:
        return {name: built.read(name) for name in built.namelist()}


def test_there_are_twelve() -> None:
    assert len(BY_NAME) == 12


@pytest.mark.parametrize("name", BY_NAME)
def test_a_bug_applies_to_a_copy_that_still_compiles(name: str, tmp_path: Path) -> None:
    copy = copy_product(tmp_path, BY_NAME[name])
    patched = set(re.findall(r"^\+\+\+ b/(\S+)", BY_NAME[name].patch.read_text(), re.MULTILINE))
    changed = {str(p.relative_to(copy)) for p in copy.rglob("*.*")
               if p.is_file() and p.read_bytes() != (ROOT / p.relative_to(copy)).read_bytes()}  # fmt: skip
    assert changed == patched
    for file in changed:
        if file.endswith(".py"):
            compile((copy / file).read_text(), file, "exec")


def test_the_wheel_holds_no_bug_and_no_test(wheel: dict[str, bytes]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {t for t in tops if not t.endswith(".dist-info")} == {*PRODUCT, "connectors"}
    assert not [name for name in wheel if name.endswith(".patch") or "/test" in name]
    for name, content in wheel.items():
        if name.split("/")[0] in PRODUCT:
            assert content == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("name", BY_NAME)
def test_the_wheel_lacks_what_a_bug_adds(name: str, wheel: dict[str, bytes]) -> None:
    for file in re.findall(r"^\+\+\+ b/(\S+)", BY_NAME[name].patch.read_text(), re.MULTILINE):
        lines = wheel[file].decode().splitlines()
        before, after = (_hunks(BY_NAME[name].patch.read_text(), file, sign) for sign in "-+")
        assert all(_holds(lines, hunk) for hunk in before)
        assert not any(_holds(lines, hunk) for hunk in after)


def _hunks(patch: str, file: str, sign: str) -> list[list[str]]:
    """What stands at the patched places before it ("-") or after ("+")."""
    (part,) = [p for p in patch.split("--- a/") if p.startswith(f"{file}\n")]
    hunks = [h.splitlines()[1:] for h in re.split(r"^@@.*(?=\n)", part, flags=re.MULTILINE)[1:]]
    return [[line[1:] for line in hunk if line[:1] in (" ", sign)] for hunk in hunks]


def _holds(lines: list[str], hunk: list[str]) -> bool:
    return any(lines[at : at + len(hunk)] == hunk for at in range(len(lines)))


@pytest.mark.parametrize("name", FOR_REAL)
def test_verify_finds_it(name: str, stack: Stack) -> None:
    result = try_out(stack, BY_NAME[name], seed=3)
    assert result["found"], result
    assert result["keys"] > 0
