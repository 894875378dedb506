"""Where a run is computed: versions, device, threads, commit. None of it names a run."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.common.locations import PACKAGE
from eleatt_bench.launch.process import IN_SWEEP, NUM_THREADS

if TYPE_CHECKING:
    import torch
    from pytorch_lightning import Trainer

    from eleatt_bench.training.classifier import SequenceClassifier

_PATIENCE = 10  # seconds that git may take
_CONTEXT = 1 << 29  # bytes, about what CUDA itself takes of a device for each process

PACKAGES = (
    "eleatt-bench",
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "torchmetrics",
    "tensorboard",
    "h5py",
    "numpy",
)


def versions() -> dict[str, str]:
    """Version of Python and of every package whose version can matter."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@cache  # the imported code stays the same, even if somebody commits meanwhile
def git_commit() -> str | None:
    """The commit of the checkout this package runs from, with ``+changes`` if it is not clean.

    With ``+unknown`` if git does not say whether it is clean. None for an installed package, or if
    git does not answer at all.
    """
    top = PACKAGE.parents[1]
    if not (top / ".git").exists():
        return None
    try:
        commit = _git(top, "rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None
    try:
        changed = _git(top, "status", "--porcelain", "--", "src", "configs")
    except (OSError, subprocess.SubprocessError):  # with a busy disk it may take too long
        return f"{commit}+unknown"
    return commit + ("+changes" if changed else "")


def backend_of(trainer: Trainer, classifier: SequenceClassifier) -> str:
    """The backend of ``classifier``'s layers on ``trainer``'s device, as of `Stack.backend_on`."""
    with trainer.precision_plugin.forward_context():  # the precision may decide
        return classifier.recurrent.backend_on(trainer.strategy.root_device)


def device_name(trainer: Trainer) -> str:
    """The name of ``trainer``'s device; of several devices also how many."""
    import torch

    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return f"{trainer.world_size} x {name}" if trainer.world_size > 1 else name


def device_of(trainer: Trainer) -> str:
    """`device_name`, and on a CPU the number of threads: on what an epoch's time depends."""
    import torch

    if trainer.strategy.root_device.type != "cpu":
        return device_name(trainer)
    threads = torch.get_num_threads()
    return f"{device_name(trainer)}, {threads} thread{'s' * (threads > 1)}"


def cpu_name() -> str:
    """The processor's name as the operating system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> dict[str, int]:
    """The most bytes that this process used: ``peak_memory``, on a GPU also ``peak_device_memory``.

    A job forked from the warm server also counts the memory that it shares with the server.
    """
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"peak_memory": resident if sys.platform == "darwin" else resident * 1024}
    if device.type == "cuda":
        import torch

        found["peak_device_memory"] = torch.cuda.max_memory_reserved(device) + _CONTEXT
    return found


def leased_threads() -> int | None:
    """How many CPU threads the launcher lent this process; None outside of a sweep."""
    text = os.environ.get(NUM_THREADS, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None


def is_in_sweep() -> bool:
    """Whether a sweep's launcher started this process."""
    return os.environ.get(IN_SWEEP) == "1"


def _git(top: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(top), *arguments],
        capture_output=True, text=True, check=True, timeout=_PATIENCE,
    )  # fmt: skip
    return done.stdout.strip()
