"""Benchmarks, one after the other: `make bench`, or those that are named: `make bench WHAT=engine`."""

import subprocess
import sys

for name in sys.argv[1:] or ("engine", "rows", "alerts", "worker", "verify"):
    print(f"== bench.{name}", flush=True)
    subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)
