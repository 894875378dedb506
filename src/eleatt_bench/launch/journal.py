"""What a sweep did when, and on which device: a line of JSON for each start and end of a job."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from eleatt_bench.common.files import naming


class Journal:
    """Appends to the file at ``path``; a line is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def started(self, job: str, pid: int, device: str | None, **where: str) -> None:
        """Note that ``job`` runs as process ``pid``, with the device that it leases, if any."""
        self._write(event="started", job=job, pid=pid, device=device, **where)

    def ended(self, job: str, pid: int, device: str | None, returncode: int, **where: str) -> None:
        """Note that ``job`` has ended, and its device is free; ``where`` as in `started`."""
        self._write(event="ended", job=job, pid=pid, device=device, returncode=returncode, **where)

    def _write(self, **values: str | int | None) -> None:
        line = json.dumps({"time": time.time(), **values}, ensure_ascii=False) + "\n"
        with naming(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
