"""`onhand explain` and `onhand verify` on a ledger of a million moves: CPU and wall seconds of the whole command.

Real PostgreSQL, Kafka, Connect and Redis; the pack is Tryton's, whose query joins ten tables and reads its ledger in
three arms. `python -m bench.explain [ROWS]`.
"""

import resource
import sys
import time
from statistics import median

from infra.stack import Stack
from infra.stack.site import ROOT
from tests.e2e.source import Source, wait_for

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ITEMS = 5_000
RUNS = 5
LONG_RUNS = 3  # of what looks at the names of all keys
PACK = ROOT / "connectors" / "tryton"
SCHEMA = f"""{(PACK / "schema.sql").read_text()}
INSERT INTO product_product SELECT g, 'P-' || g FROM generate_series(1, {ITEMS}) g;
INSERT INTO stock_location (id, code, type, parent, storage_location, output_location) VALUES
  (1, 'SUP', 'supplier', NULL, NULL, NULL), (2, 'MAIN', 'warehouse', NULL, 3, 4), (3, 'STO', 'storage', 2, NULL, NULL),
  (4, 'OUT', 'storage', 2, NULL, NULL), (5, 'SHOP', 'warehouse', NULL, 6, 6), (6, 'SHOP-S', 'storage', 5, NULL, NULL);
INSERT INTO stock_location (id, code, type, parent) SELECT g, 'BIN-' || g, 'storage', 3 FROM generate_series(10, 200) g;
INSERT INTO stock_move (id, company, product, from_location, to_location, internal_quantity, state, effective_date)
  SELECT g, 1, 1 + g % {ITEMS}, 10 + g % 97, CASE WHEN g % 3 = 0 THEN 6 ELSE 110 + g % 89 END, 1 + g % 50,
         CASE WHEN g % 20 = 0 THEN 'assigned' ELSE 'done' END, '2026-01-01' FROM generate_series(1, {ROWS}) g;
CREATE INDEX ON stock_move (product);
ANALYZE;
CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'not-in-any-log';
GRANT USAGE ON SCHEMA public TO cdc;
GRANT SELECT ON product_product, stock_location, stock_lot, stock_move TO cdc;
CREATE PUBLICATION onhand FOR TABLE product_product (id, code), stock_lot (id, number),
  stock_location (id, code, output_location, parent, storage_location, type),
  stock_move (id, company, effective_date, from_location, internal_quantity, lot, planned_date, product, state,
    to_location);
"""


def timed(source: Source, *arguments: str, runs: int = RUNS) -> None:
    """Print the median of a command's CPU and wall seconds, and the last line of its last run."""
    wall, cpu = [], []
    for _ in range(runs):
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = source.onhand(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(time.perf_counter() - begun)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stdout + done.stderr
    last = (done.stdout.strip().splitlines() or [""])[-1]
    spread = f"wall {median(wall):.2f} s ({min(wall):.2f} .. {max(wall):.2f}), n={runs}"
    print(f"onhand {' '.join(arguments)}: CPU {median(cpu):.2f} s, {spread}   {last}", flush=True)


def main() -> None:
    """Fill, serve, time."""
    with Stack() as stack:
        schema = stack.directory / "schema.sql"
        schema.write_text(SCHEMA)
        source = Source(stack, "ledger", str(PACK), schema)
        source.config.write_text(source.config.read_text() + "params = { orgs = [1] }\n")
        try:
            begun = time.perf_counter()
            source.apply()
            source.start_worker()
            wait_for(lambda: source.meta().get("state") == "live", "the snapshot served", 900)
            print(f"{ROWS:,} moves of {ITEMS:,} items served after {time.perf_counter() - begun:.0f} s", flush=True)
            timed(source, "explain", "--help")  # what every command costs before it does anything
            timed(source, "explain", "P-77", "MAIN")
            timed(source, "explain", "P-77", "SHOP", "-o", "json")
            timed(source, "verify", "--item", "P-77")
            timed(source, "verify", "--sample", "1%", runs=LONG_RUNS)
            timed(source, "verify", "--timeout", "60s", runs=1)
        finally:
            source.close()


if __name__ == "__main__":
    main()
