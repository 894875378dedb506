"""What this host can lend to jobs: memory and CUDA devices, found without importing torch."""

from __future__ import annotations

import math
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.parallel import control_groups

_DRIVER = Path("/dev/nvidiactl")  # also in a container that has no nvidia-smi


def visible_devices() -> list[str]:
    """The CUDA devices this process may use, as ``CUDA_VISIBLE_DEVICES`` would name them.

    Without that variable they are named by UUID: CUDA counts the fastest device first, the driver
    does not.

    Raises:
        UserError: there are devices, but nothing says which.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [device.strip() for device in chosen.split(",") if device.strip()]
        return list(takewhile(lambda name: name != "-1", names))  # CUDA ignores what follows
    said = _ask_driver("uuid")
    lines = [line.strip() for line in said.splitlines()]
    listed = [line for line in lines if line.startswith(("GPU-", "MIG-"))]
    if listed or not _DRIVER.exists() or "No devices were found" in said:
        return listed
    raise UserError(
        "There are GPUs here, but nvidia-smi, which would list them, is not there, does not answer "
        "or lists none: name them in CUDA_VISIBLE_DEVICES, such as CUDA_VISIBLE_DEVICES=0,1, or do "
        "without them, trainer=cpu"
    )


def _ask_driver(fields: str) -> str:
    """What nvidia-smi prints of ``fields`` of each device; empty where it does not answer.

    Its exit status is not asked: one lost device, or a warning, makes it other than 0, and the
    other devices are listed all the same.
    """
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


class DevicePool:
    """Lends each device to at most ``jobs_per_device`` jobs at once, the least used one first.

    ``free`` has the free bytes of each device, as far as they are known.
    """

    def __init__(
        self, devices: list[str], jobs_per_device: int, free: Mapping[str, int] | None = None
    ) -> None:
        self._places = Counter(dict.fromkeys(devices, jobs_per_device))
        self._memory = {device: Budget((free or {}).get(device)) for device in devices}

    def find(self, expected: int | None = None) -> str | None:
        """A device with room for a job that is expected to take so many bytes; None without one."""
        for device, places in self._places.most_common():
            if places > 0 and self._memory[device].admits(expected):
                return device
        return None

    def lease(self, device: str, expected: int | None = None) -> None:
        """Lend ``device`` to a job that is expected to take so many bytes of it."""
        if self._places[device] == 0:
            raise RuntimeError(f"device {device} is lent out")
        self._places[device] -= 1
        self._memory[device].promise(expected)

    def give_back(self, device: str, expected: int | None = None) -> None:
        """Take ``device`` back from a job that has ended."""
        self._places[device] += 1
        self._memory[device].give_back(expected)


_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """Bytes that a job is expected to take at most; None where nothing is known."""

    host: int | None = None
    device: int | None = None


UNKNOWN = Memory()


class Budget:
    """``free`` bytes (None: nobody knows), promised to jobs before they take them.

    A job that would not fit even alone is admitted once it is alone: it may need less than that.
    """

    def __init__(self, free: int | None) -> None:
        self._free = free
        self._promised: list[int] = []

    def admits(self, expected: int | None) -> bool:
        """Whether a job that takes so much fits beside the others; a job of unknown need does."""
        if self._free is None or expected is None or not self._promised:
            return True
        return sum(self._promised) + expected <= self._free

    def promise(self, expected: int | None) -> None:
        """Set aside what a job that starts is expected to take."""
        self._promised.append(expected or 0)

    def give_back(self, expected: int | None) -> None:
        """Free what was set aside for a job that has ended."""
        self._promised.remove(expected or 0)


def free_memory() -> int | None:
    """Bytes that programs on this host may still take; None where the system does not say.

    The limits of this process's control groups, such as a container's, count as well.
    """
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return None
    available = next((line for line in lines if line.startswith("MemAvailable:")), None)
    if available is None:
        return None
    return max(0, int(min([int(available.split()[1]) * 1024, *map(_left, control_groups())])))


def _left(group: Path) -> float:
    """Bytes that the processes of a control group may still take; infinity without a limit."""
    try:
        most, taken, stat = (
            (group / f"memory.{name}").read_text(encoding="utf-8").strip()
            for name in ("max", "current", "stat")
        )
    except OSError:  # the topmost group, or one that does not count memory
        return math.inf
    if most == "max":
        return math.inf
    counted = dict(line.split() for line in stat.splitlines())
    cached = int(counted.get("active_file", 0)) + int(counted.get("inactive_file", 0))
    return int(most) - int(taken) + cached  # the kernel frees its file cache when it must


def free_device_memory() -> dict[str, int]:
    """Bytes that are free on each CUDA device, by index and by UUID; empty where nobody can say."""
    free: dict[str, int] = {}
    for line in _ask_driver("index,uuid,memory.free").splitlines():
        match [part.strip() for part in line.split(",")]:
            case [index, uuid, mebibytes] if mebibytes.isdecimal():  # some devices do not tell
                free |= dict.fromkeys((index, uuid), int(mebibytes) << 20)
    return free
