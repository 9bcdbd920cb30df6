"""Every command as a person types it: help, wrong use, and what it says before anything is served."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from pipeline.cli.main import COMMANDS as EVERY
from tests.cli.site import ONHAND, Site

COMMANDS = (
    *(name for name in EVERY if name not in {"pack", "quarantine", "alerts"}),
    "quarantine list", "quarantine show", "quarantine replay", "quarantine drop",
    "alerts list", "alerts show", "alerts ack",
)  # fmt: skip


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **environment}
    done = subprocess.run([ONHAND, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environ)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, tmp_path: Path) -> None:
    done = run(*command.split(), "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Examples:" in done.stdout
    assert f"onhand {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("frobnicate",), "No such command"),
        (("apply", "--frob"), "No such option"),
        (("get",), "either an item's code or --all"),
        (("get", "BOLT", "--all"), "either an item's code or --all"),
        (("verify", "--timeout", "soon"), "write it as 15s"),
        (("verify", "--every", "daily"), "write it as 15s"),
        (("verify", "--sample", "0%"), "write it as 1%"),
        (("verify", "--sample", "5"), "write it as 1%"),
        (("verify", "--sample", "5%", "--item", "BOLT"), "not both"),
        (("explain", "BOLT"), "Missing argument"),
        (("explain", "BOLT", "W1", "--timeout", "soon"), "write it as 15s"),
        (("status", "--watch", "-o", "json"), "for a terminal"),
        (("--config", "nowhere.toml", "status"), "nowhere.toml cannot be read"),
        (("apply", "shop"), "no source 'shop'"),
        (("quarantine", "drop", "5"), "Missing option '--reason'"),
        (("quarantine", "drop", "5", "--reason", " "), "for a reason"),
        (("alerts", "ack"), "Missing argument"),
        (("quarantine", "show", "five"), "unable to parse string as an integer"),
    ],
)
def test_wrong_use_is_2_and_says_so_on_stderr(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    (tmp_path / "onhand.toml").write_text('[sources.erp]\npack = "tryton"\ndatabase = "postgresql://cdc@127.0.0.1/erp"')
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("command", ["apply", "worker", "verify", "status"])
def test_without_settings_every_command_says_what_to_write(command: str, tmp_path: Path) -> None:
    done = run(command, cwd=tmp_path)
    assert done.returncode == 2
    assert "no source is set" in done.stderr
    assert "[sources.erp]" in done.stderr


def test_malformed_settings_are_told_at_once(site: Site) -> None:
    site.settings["kafka"]["bootstrap_servers"] = "localhost"
    site.settings["redis"]["colour"] = "red"
    done = site.onhand("apply")
    assert done.returncode == 2
    assert "2 settings are wrong" in done.stderr
    assert "[kafka] bootstrap_servers" in done.stderr
    assert "[redis] colour" in done.stderr


def test_before_apply_and_before_the_worker(site: Site) -> None:
    for command in ("verify", "worker"):
        done = site.onhand(command)
        assert done.returncode == 1
        assert f"source {site.name} is not applied yet\n  fix: onhand apply {site.name}" in done.stderr
    assert f"fix: onhand worker {site.name}" in site.onhand("get", "--all").stderr
    status = site.onhand("status", "-o", "json")
    assert status.returncode == 10
    (row,) = json.loads(status.stdout)
    assert (row["connector"], row["worker"], row["keys"]) == ("none", "none", None)
    assert "there is no connector" in row["problem"]
    assert "unhealthy" in status.stderr


def test_status_tells_what_is_away_and_goes_on(site: Site) -> None:
    site.settings["kafka"] |= {"bootstrap_servers": "127.0.0.1:1", "connect_url": "http://127.0.0.1:1"}
    done = site.onhand("status", "-o", "json")
    assert done.returncode == 10
    (row,) = json.loads(done.stdout)
    assert "Kafka Connect at http://127.0.0.1:1 does not answer" in row["problem"]
    assert "Kafka at 127.0.0.1:1 does not answer" in row["problem"]
    assert "nothing is served yet" in row["problem"]


def test_status_watch_ends_by_ctrl_c(site: Site) -> None:
    with site.start("status", "--watch") as watching:
        assert watching.stdout is not None
        while site.name not in watching.stdout.readline():
            assert watching.poll() is None
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=20) == 130


def test_metrics_port_in_use(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        site.settings["worker"]["metrics_port"] = held.getsockname()[1]
        done = site.onhand("worker")
    assert done.returncode == 1
    assert "metrics_port" in done.stderr


def test_get_shows_keys_with_their_dimensions_as_fields(site: Site) -> None:
    with redis.Redis.from_url(site.stack.redis.url) as client:
        client.hset(f"{site.name}:meta", mapping={"as_of": "2026-11-22T10:00:00.000Z", "state": "live"})
        client.hset(f"{site.name}:{{BOLT}}", mapping={"on_hand": "5.50", "v": "1", "w:W1": "5.50"})
        client.hset(f"{site.name}:{{BOLT}}:W1", mapping={"on_hand": "5.50", "available": "-1.00", "v": "1"})
        client.hset(f"{site.name}:{{BOLT}}:W1:location=A%3A1,lot=L7", mapping={"on_hand": "5.50", "v": "1"})
        client.hset(f"{site.name}:{{GONE}}:W1", mapping={"on_hand": "0", "deleted": "1", "v": "1"})
    everything = site.onhand("get", "--all", "-o", "json")
    assert everything.returncode == 0, everything.stderr
    assert json.loads(everything.stdout) == [
        {"key": f"{site.name}:{{BOLT}}", "item": "BOLT", "on_hand": "5.50", "w:W1": "5.50"},
        {"key": f"{site.name}:{{BOLT}}:W1", "item": "BOLT", "warehouse": "W1", "on_hand": "5.50", "available": "-1.00"},
        {
            "key": f"{site.name}:{{BOLT}}:W1:location=A%3A1,lot=L7", "item": "BOLT", "warehouse": "W1",
            "location": "A:1", "lot": "L7", "on_hand": "5.50",
        },
    ]  # fmt: skip
    assert "as of 2026-11-22T10:00:00.000Z" in everything.stderr
    assert len(json.loads(site.onhand("get", "BOLT", "-o", "json").stdout)) == 3
    table = site.onhand("get", "BOLT").stdout
    assert "-1.00" in table
    missing = site.onhand("get", "SCREW")
    assert (missing.returncode, "'SCREW'" in missing.stderr) == (2, True)


def test_an_unexpected_error_is_one_line(tmp_path: Path) -> None:
    """A settings file that is a folder of a broken encoding is known; a broken package is not."""
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra/__init__.py").write_text("raise ZeroDivisionError('x')")
    done = run("demo", "--once", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("onhand: a bug, please report it: ZeroDivisionError at __init__.py:1")


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("get", {"sqlalchemy", "aiokafka", "sqlglot", "requests", "faust", "streams"}),
        ("status", {"faust", "streams"}),
        ("explain", {"requests", "structlog", "prometheus_client", "faust", "streams"}),
    ],
)
def test_a_command_does_not_wait_for_the_imports_of_others(command: str, spared: set[str]) -> None:
    program = "import sys; from pipeline.cli.main import app\ntry: app()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--help"], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert f"pipeline.cli.{command}" in loaded
    assert not loaded & spared


def test_help_lists_every_command_with_its_text(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    lines = [line.strip("│ ").split(maxsplit=1) for line in done.stdout.splitlines()]
    told = {line[0]: line[1] for line in lines if len(line) == 2}
    assert [name for name in told if name in EVERY] == list(EVERY)
    assert all(told[name][0].isupper() for name in EVERY)
