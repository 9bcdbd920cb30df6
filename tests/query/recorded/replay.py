"""All recorded cases, without a test runner: python -m tests.query.recorded.replay   (1 at the first difference)"""

import sys

from tests.query.recorded.case import load


def main() -> int:
    try:
        for case in load():
            case.replay()
    except AssertionError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
