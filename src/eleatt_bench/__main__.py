"""``python -m eleatt_bench`` is the same as ``eleatt-bench``."""

from eleatt_bench.cli import main

if __name__ == "__main__":
    main()
