"""The README's first steps as a person takes them: `make demo`, then the reading by hand that it offers."""

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from infra.stack.site import ROOT
from tests.docs.markdown import blocks


@dataclass
class Demo:
    """A demo whose story is over and whose servers are up: what it said, and the lines it offers to type."""

    said: list[str]
    offers: list[str]

    @property
    def port(self) -> str:
        """Redis's."""
        return re.search(r"redis-cli -p (\d+)", "\n".join(self.offers))[1]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    command = shlex.split("make demo")
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **told) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line.rstrip("\n"))
                if said[-1] == "running until Ctrl-C":
                    break
            assert "try by hand:" in said, "\n".join(said)
            story, offers = said[: said.index("try by hand:")], said[said.index("try by hand:") + 1 : -1]
            yield Demo(story, [line.strip() for line in offers])
        finally:
            for child in psutil.Process(process.pid).children():
                child.send_signal(signal.SIGINT)  # Ctrl-C, for the demo alone: it stops its servers in order
            process.stdout.read()
    assert process.returncode == 0


def test_it_ends_with_a_proof(demo: Demo) -> None:
    keys = re.fullmatch(r"verify: erp: (\d+) keys compared at [0-9A-F]+/[0-9A-F]+, 0 differ", demo.said[-1])
    assert keys, demo.said[-1]
    assert int(keys[1]) >= 60
    captured = re.search(r"(\d+) business transactions captured", "\n".join(demo.said))
    assert int(captured[1]) >= 100


def test_what_it_offers_to_type_works(demo: Demo, tmp_path: Path) -> None:
    assert len(demo.offers) == 6
    for line in demo.offers:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, bool(done.stdout.strip())) == (0, True), f"{line}: {done.stderr}"


def test_the_first_read_answers_what_the_readme_shows(demo: Demo) -> None:
    typed = next(line for line in blocks("README.md", "sh") if line.startswith("redis-cli")).strip()
    shown = next(block for block in blocks("README.md", "") if block.startswith(' 1) "v"'))
    command = shlex.split(typed.replace("PORT", demo.port))
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    expected = re.findall(r'"(.*)"', shown)
    moving = {expected.index("v") + 1, expected.index("changed") + 1}
    assert len(answer) == len(expected)
    assert [x for i, x in enumerate(answer) if i not in moving] == [
        x for i, x in enumerate(expected) if i not in moving
    ]
    assert all(len(answer[i]) == len(expected[i]) for i in moving)
