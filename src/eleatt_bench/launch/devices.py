"""What this host can lend to jobs: CPU cores and CUDA devices, found without importing torch."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from eleatt_bench.launch.memory import Budget

_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """How many CPU cores this process may use, by its affinity and, in a container, its quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas()])))


def _quotas() -> list[float]:
    """Linux: the cores' worth of time granted to this process's control group and those above."""
    try:
        lines = _CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return []
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    quotas = []
    for group in [_CGROUPS / path, *(_CGROUPS / path).parents]:
        file = group / "cpu.max"  # "QUOTA PERIOD" in microseconds, or "max PERIOD"
        if group.is_relative_to(_CGROUPS) and file.is_file():
            quota, period = file.read_text(encoding="utf-8").split()
            quotas += [] if quota == "max" else [int(quota) / int(period)]
    return quotas


def visible_devices() -> list[str]:
    """The CUDA devices this process may use, as ``CUDA_VISIBLE_DEVICES`` would name them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [device.strip() for device in chosen.split(",") if device.strip()]
        return list(takewhile(lambda name: name != "-1", names))  # CUDA ignores what follows
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


class DevicePool:
    """Lends each device to at most ``jobs_per_device`` jobs at once, the least used one first.

    ``free`` are the bytes that are free on each, as far as that is known.
    """

    def __init__(
        self, devices: list[str], jobs_per_device: int, free: Mapping[str, int] | None = None
    ) -> None:
        self._room = Counter(dict.fromkeys(devices, jobs_per_device))
        self._memory = {device: Budget((free or {}).get(device)) for device in devices}

    def find(self, expected: int | None = None) -> str | None:
        """A device that serves one more job, which is expected to take so many bytes of it."""
        for device, room in self._room.most_common():
            if room > 0 and self._memory[device].admits(expected):
                return device
        return None

    def lease(self, device: str, expected: int | None = None) -> None:
        """A job that is expected to take so many bytes of ``device`` has it now."""
        if self._room[device] == 0:
            raise RuntimeError(f"device {device} is lent out")
        self._room[device] -= 1
        self._memory[device].promise(expected)

    def give_back(self, device: str, expected: int | None = None) -> None:
        """It has ended."""
        self._room[device] += 1
        self._memory[device].give_back(expected)
