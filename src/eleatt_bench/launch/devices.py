"""What this host can lend to jobs: CPU cores and CUDA devices, found without importing torch."""

from __future__ import annotations

import os
import subprocess
from collections import Counter


def available_cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_devices() -> list[str]:
    """The CUDA devices this process may use, as ``CUDA_VISIBLE_DEVICES`` would name them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [device.strip() for device in chosen.split(",") if device.strip()]
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
    """Lends each device to at most ``jobs_per_device`` jobs at once, the least used one first."""

    def __init__(self, devices: list[str], jobs_per_device: int) -> None:
        self._free = Counter(dict.fromkeys(devices, jobs_per_device))

    def lease(self) -> str:
        """A device with room; there must be one."""
        device, room = self._free.most_common(1)[0]
        if room == 0:
            raise RuntimeError("every device is lent out")
        self._free[device] -= 1
        return device

    def give_back(self, device: str) -> None:
        """The job that had leased ``device`` has ended."""
        self._free[device] += 1
