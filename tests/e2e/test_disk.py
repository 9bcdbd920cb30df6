"""A worker whose rows live on disk: the same figures, whatever ends it."""

import stat
from collections.abc import Iterator

import pytest

from infra.stack import Stack
from tests.e2e.load import Writers
from tests.e2e.source import Source, wait_for
from tests.e2e.test_worker import served


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Source]:
    source = Source(stack, "disk")
    folder = f'[worker]\ndirectory = "{source.directory / "rows"}"'
    source.config.write_text(source.config.read_text().replace("[worker]", folder) + 'rows = "disk"\n')
    with source.attached():
        yield source


def test_killed_under_load_it_serves_the_same_again(source: Source) -> None:
    with Writers(source) as writers:
        wait_for(lambda: writers.transactions > 200, "writers at work")
        source.kill_worker()
        source.start_worker()
        wait_for(lambda: writers.transactions > 400, "writers at work")
    source.wait_until_served()
    source.verify()
    before = {key: fields for key, fields in served(source).items() if "deleted" not in fields}
    source.kill_worker()
    source.redis.flushall()
    source.start_worker()
    wait_for(lambda: source.meta().get("state") == "live", "projected anew")
    assert served(source) == before


def test_its_rows_are_in_a_private_folder_and_it_leaves_in_order(source: Source) -> None:
    folder = source.directory / "rows" / source.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "rows.lmdb").stat().st_size > 100_000
    assert source.stop_worker() == 0
    assert '"boot": null' in (folder / "identity.json").read_text()
    source.start_worker()
    source.sql.execute("UPDATE quant SET quantity = quantity + 1 WHERE id < 100")
    source.wait_until_served()
    source.verify()


def test_a_second_worker_is_told_that_the_rows_are_in_use(source: Source) -> None:
    second = source.onhand("worker")
    assert second.returncode == 1
    assert "another process uses the row store" in second.stderr
    source.verify()
