import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
import redis

from infra.stack.redis import Redis
from infra.stack.site import DOWNLOADS, ROOT
from tests.docs import served

READ = ROOT / "examples" / "read"


@pytest.fixture
def serve(redis_server: Redis) -> Iterator[Callable[..., redis.Redis]]:
    """Serves rows (item, warehouse, on hand, reserved) of a feed so many seconds old; returns a client."""
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)

    def fill(
        *rows: tuple[str, str, int, int], seconds_old: float = 0, quarantined: bool = False, degraded: str = ""
    ) -> redis.Redis:
        time_ms = round((time.time() - seconds_old) * 1000)
        levels = served.levels_of(*rows, time_ms=time_ms, degraded=degraded)
        alerts = served.alerts_of(levels, time_ms)
        served.publish(redis_server.url, levels.documents(), served.meta(time_ms, quarantined=quarantined), alerts)
        return client

    def clear() -> None:
        for key in list(client.scan_iter("stock:*")):  # other tests' prefixes share the server
            client.delete(key)

    clear()
    yield fill
    clear()
    client.close()


@pytest.fixture(scope="session")
def jars() -> Path:
    """The folder with the jars of examples/read/pom.xml."""
    pom = READ / "pom.xml"

    def fetch(folder: Path) -> None:
        target = f"-DoutputDirectory={folder}"
        subprocess.run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", target], check=True)

    return _fetched("java", [pom], fetch)


@pytest.fixture(scope="session")
def node_program() -> Path:
    """read.mjs beside the packages of its package.json: Node.js looks for them in the program's own folder."""
    package = READ / "package.json"

    def fetch(folder: Path) -> None:
        shutil.copy(package, folder)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
        subprocess.run(command, cwd=folder, check=True)

    folder = _fetched("node", [package], fetch)
    return Path(shutil.copy(READ / "read.mjs", folder))


def _fetched(name: str, inputs: list[Path], fetch: Callable[[Path], None]) -> Path:
    """A folder that `fetch` has filled; again only when an input has changed."""
    folder = DOWNLOADS / "examples" / name
    stamp = folder / f".complete-{crc32(b''.join(path.read_bytes() for path in inputs))}"
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch(folder)
        stamp.touch()
    return folder
