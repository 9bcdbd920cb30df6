"""Every benchmark, one after the other: `make bench`."""

import subprocess
import sys

for name in ("engine", "rows", "worker"):
    print(f"== bench.{name}", flush=True)
    subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)
