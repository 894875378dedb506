"""Memory that jobs share: what is free, and what those that run are still expected to take."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """Bytes that a job is expected to take at most; None where nothing is known."""

    host: int | None = None
    device: int | None = None


UNKNOWN = Memory()


class Budget:
    """``free`` bytes (None: nobody knows), promised to jobs before they take them.

    A job that would not fit even alone is let in when it is: it may need less than expected.
    """

    def __init__(self, free: int | None) -> None:
        self._free = free
        self._promised: list[int] = []

    def admits(self, expected: int | None) -> bool:
        """Whether a job that takes so much fits beside the others; one of unknown need does."""
        if self._free is None or expected is None or not self._promised:
            return True
        return sum(self._promised) + expected <= self._free

    def promise(self, expected: int | None) -> None:
        """A job that is expected to take so much has started."""
        self._promised.append(expected or 0)

    def give_back(self, expected: int | None) -> None:
        """It has ended."""
        self._promised.remove(expected or 0)


def free_memory() -> int | None:
    """Bytes that programs on this host may still take; None where the system does not say."""
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return None
    available = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return int(available.split()[1]) * 1024 if available else None


def free_device_memory() -> dict[str, int]:
    """Bytes that are free on each CUDA device, by index and by UUID; empty where nobody can say."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    free: dict[str, int] = {}
    for line in listed.stdout.splitlines():
        index, uuid, mebibytes = (part.strip() for part in line.split(","))
        if mebibytes.isdecimal():  # some devices do not tell
            free |= dict.fromkeys((index, uuid), int(mebibytes) << 20)
    return free
