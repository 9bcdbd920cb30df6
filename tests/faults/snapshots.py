"""F18, F19: while whole tables are read."""

import subprocess
from collections.abc import Iterator

from tests.e2e.source import ONHAND, Source
from tests.faults.registry import fault
from tests.faults.run import Run

ROWS = 100_000


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
