"""python -m tests.mutation COUNT SEED: tries a sample of mutants, writes `last_run.md`."""

import sys

from tests.mutation.report import write
from tests.mutation.run import run

count, seed = map(int, sys.argv[1:])
sys.stdout.write(f"\n{write(run(count, seed), seed)}\n")
