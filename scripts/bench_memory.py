"""What one training step of a layer adds to the peak memory of a fresh process, in bytes (Linux).

.venv/bin/python scripts/bench_memory.py GRU sigmoid native 100,256,150,100
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from pathlib import Path

from bench_contenders import Contender, Job, Shape


def peak_bytes(contender: Contender, shape: Shape) -> int:
    """Measured in a fresh process, where no memory that was freed earlier can be used again."""
    command = [sys.executable, __file__, *contender, str(shape)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # freed memory goes back
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def main() -> None:
    contender, shape = Contender(*sys.argv[1:4]), Shape.parse(sys.argv[4])
    # A small step first, so that only the large one's arrays count.
    Job(contender, shape._replace(T=2, B=2, ragged=False)).run()
    job = Job(contender, shape)
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    job.run()
    print(resident("VmHWM") - before)


def resident(field: str, process: int | str = "self") -> int:
    """Bytes of a process in memory: now (VmRSS), or at the peak (VmHWM); 0 when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except ProcessLookupError:
        return 0
    found = re.search(rf"^{field}:\s*(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


if __name__ == "__main__":
    main()
