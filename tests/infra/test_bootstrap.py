"""What the set-up says where it cannot install anything. A PATH of basic tools only makes every server look missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra/bootstrap.sh"
TOOLS = ("sh", "cat", "cksum", "date", "dirname", "head", "id", "ls", "mkdir", "rm", "sed", "tail", "tr")


@pytest.fixture
def bootstrap(tmp_path: Path):
    """Runs a copy of the script in an empty project."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is not installed"))
    project = tmp_path / "project"
    (project / "infra").mkdir(parents=True)
    shutil.copy(SCRIPT, project / "infra")
    for name in ("requirements.lock", "pyproject.toml", "infra/pom.xml"):
        (project / name).touch()

    def run(group: str, os_release: str) -> subprocess.CompletedProcess[str]:
        described = tmp_path / "os-release"
        described.write_text(os_release)
        environment = {"PATH": str(tools), "ONHAND_OS_RELEASE": str(described), "HOME": str(tmp_path)}
        command = ["/bin/sh", str(project / "infra/bootstrap.sh"), group]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")

    return run


def test_another_system_is_told_what_is_missing_and_what_to_type(bootstrap):
    done = bootstrap("demo", 'NAME="Fedora Linux"\nID=fedora\n')
    assert done.returncode == 1
    assert "this is not Debian (fedora)" in done.stderr
    missing = next(line for line in done.stderr.splitlines() if "missing:" in line)
    assert {"redis-server", "prometheus", "maven"} <= set(missing.split())
    assert not {"mariadb-server", "prometheus-alertmanager", "prometheus-redis-exporter"} & set(missing.split())
    assert "docker run" in done.stderr
    assert "make demo" in done.stderr


def test_the_tests_want_more(bootstrap):
    done = bootstrap("test", "ID=fedora\n")
    missing = next(line for line in done.stderr.splitlines() if "missing:" in line)
    assert {"prometheus-alertmanager", "prometheus-redis-exporter"} <= set(missing.split())


def test_without_a_name_for_the_system_nothing_is_installed(bootstrap):
    done = bootstrap("demo", "")
    assert done.returncode == 1
    assert "this is not Debian (unknown)" in done.stderr


def test_an_unknown_group_is_a_usage_error(bootstrap):
    done = bootstrap("everything", "ID=debian\n")
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_script_is_plain_sh():
    subprocess.run(["/bin/sh", "-n", str(SCRIPT)], check=True)
    assert os.access(SCRIPT, os.X_OK)


def test_a_fresh_clone_brings_no_link_and_nothing_built():
    listed = subprocess.run(
        ["git", "ls-files", "-s"], cwd=SCRIPT.parents[1], capture_output=True, text=True, check=True
    )
    links = [line for line in listed.stdout.splitlines() if line.startswith("120000")]
    assert links == []
    tracked = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"],
        cwd=SCRIPT.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert tracked.stdout == ""
