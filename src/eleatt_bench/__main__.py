"""``python -m eleatt_bench`` is the same as ``eleatt-bench``."""

import sys

from eleatt_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
