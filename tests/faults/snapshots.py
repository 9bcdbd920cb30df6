"""F18, F19: while whole tables are read."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.source import HERE, ONHAND, Source
from tests.faults.registry import fault
from tests.faults.run import Run

ROWS = 100_000
NEW_COLUMN = (
    "ALTER TABLE quant ADD blocked boolean NOT NULL DEFAULT false",
    "UPDATE quant SET blocked = true WHERE id % 7 = 0 AND id < 100000",
    "GRANT SELECT (blocked) ON quant TO cdc",
    "ALTER PUBLICATION onhand SET TABLE warehouse (id, code), location (id, code, usage, warehouse_id),"
    " item (id, code), quant (id, item_id, location_id, lot, quantity, reserved, secret_price, blocked)",
)


def many_rows(source: Source) -> None:
    source.sql.execute(
        f"""INSERT INTO quant (id, item_id, location_id, quantity)
            SELECT 500000 + g, 1 + g % 200, 1 + g % 30, 1 FROM generate_series(1, {ROWS}) g"""
    )


@fault(
    "F18",
    "Connect killed at 10, 50 and 90 % of the first snapshot, rows deleted meanwhile",
    bare=True,
    prepare=many_rows,
)
def killed_in_snapshot(run: Run) -> Iterator[None]:
    command = [ONHAND, "--config", str(run.source.config), "apply"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as apply:
        for n, share in enumerate((0.1, 0.5, 0.9)):
            begin = run.log_end()
            run.wait(lambda begin=begin, share=share: run.log_end() - begin > ROWS * share, f"{share:.0%} read")
            run.stack.kill("connect")
            run.transaction(f"DELETE FROM quant WHERE id BETWEEN {500_000 + 1000 * n} AND {500_500 + 1000 * n}")
            if n == 0:
                run.source.start_worker()  # it sees a snapshot that is cut off, and begins again
            run.stack.start("connect")
        yield
        apply.wait(150)
        assert apply.returncode == 0, apply.stdout.read()


def pack_that_reads_more(source: Source) -> Path:
    pack = source.directory / "pack"
    shutil.copytree(HERE / "pack", pack)
    text = (pack / "stock.sql").read_text()
    (pack / "stock.sql").write_text(text.replace("= 'internal'", "= 'internal' AND NOT q.blocked"))
    assert (pack / "stock.sql").read_text() != text
    return pack


@fault(
    "F19",
    "rows read again beside the stream for a mapping that reads more; apply, worker and Connect killed meanwhile",
    prepare=many_rows,
)
def killed_in_reread(run: Run) -> Iterator[None]:
    run.source.write_config(str(pack_that_reads_more(run.source)))
    run.alone(*NEW_COLUMN)
    begin = run.log_end()
    with subprocess.Popen([ONHAND, "--config", str(run.source.config), "apply"], stderr=subprocess.DEVNULL) as apply:
        run.wait(lambda: run.log_end() - begin > ROWS * 0.3, "a third read again")
        apply.kill()
    run.source.kill_worker()
    run.stack.kill("connect")
    yield
    run.stack.start("connect")
    done = run.source.onhand("apply", timeout=300)
    assert done.returncode == 0, done.stderr
