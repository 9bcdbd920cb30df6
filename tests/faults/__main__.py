"""python -m tests.faults [--only F1,F18] [--seed N] [--minutes M]: the campaign. Writes `last_run.md`."""

import argparse
import sys

from tests.faults.campaign import campaign

parser = argparse.ArgumentParser(prog="make faults")
parser.add_argument("--only", default="", help="numbers, such as F1,F7b,F18")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--minutes", type=float, default=0, help="go on with new seeds until so much time has passed")
chosen = parser.parse_args()
sys.exit(campaign([name for name in chosen.only.split(",") if name], chosen.seed, chosen.minutes))
