"""The planted bugs: each a patch against the product's own source, which is applied to copies only."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "patches"
PRODUCT = ("pipeline", "streams", "infra")


@dataclass(frozen=True)
class Bug:
    """A patch. Its header says what is wrong, and in `Shows:` what must happen for it to show."""

    name: str
    what: str
    shows: str
    patch: Path


def bugs() -> list[Bug]:
    return [_bug(patch) for patch in sorted(PATCHES.glob("*.patch"))]


def _bug(patch: Path) -> Bug:
    what, shows = patch.read_text().splitlines()[:2]
    assert shows.startswith("Shows: "), patch
    return Bug(patch.stem, what, shows.removeprefix("Shows: "), patch)


def copy_product(directory: Path, bug: Bug | None) -> Path:
    """The product's source in a directory of its own, with the bug. Fails where the patch does not apply."""
    for package in PRODUCT:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    if bug is not None:
        environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(directory.parent)}  # it is no work tree
        command = ["git", "apply", "--whitespace=nowarn", str(bug.patch)]
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{bug.patch.name}: {done.stderr}"
    return directory
