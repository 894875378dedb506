"""What every backbone is: frames in, one vector per frame out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import UserError, in_a_line, unknown

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEVICES = ("auto", "cpu", "cuda")
_BLOCK, _WIDEST = 1 << 25, 96


@dataclass(frozen=True)
class Backbone:
    """A frozen network on ``device``, and how a frame is prepared for it.

    ``prepare`` turns a picture (3, H, W) uint8 into what ``network`` takes, (3, h, w) float32, on
    the CPU; ``network`` turns N of these into (N, ``size``).
    """

    name: str
    weights: str  # which ones, in words; `RANDOM_WEIGHTS` if it was never trained
    weights_digest: str
    preprocessing: str  # in words, all that distinguishes it
    size: int
    device: torch.device
    prepare: Callable[[Tensor], Tensor]
    network: Callable[[Tensor], Tensor]

    @property
    def digest(self) -> str:
        """The digest of what features depend on: not device, batch size or name of a file."""
        parts = {"weights": self.weights_digest, "preprocessing": self.preprocessing}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def batch_size(self, frames: Tensor) -> int:
        """How many of ``frames`` (T, 3, h, w) to take at once by default.

        On a CPU they are so few that no layer gives more than 32 MB, if the widest layer has 96
        channels at half the height and width. For larger blocks glibc maps memory anew in every
        batch, and the kernel zeroes it, which takes longer than the arithmetic.
        """
        if self.device.type != "cpu":
            return 64
        height, width = frames.shape[2:]
        return max(1, _BLOCK // (_WIDEST * (height // 2) * (width // 2) * 4))

    def features(self, frames: Tensor, batch_size: int) -> Tensor:
        """The features (T, size), on the CPU, of prepared ``frames`` (T, 3, h, w).

        The network takes ``batch_size`` frames at a time. What it computes in float32 is float32 on
        every device, never TF32.

        Raises:
            UserError: out of memory.
        """
        import torch

        with torch.inference_mode(), enough_memory(), _without_tf32(self.device):
            parts = [
                self.network(part.to(self.device)).float().cpu()
                for part in torch.split(frames, batch_size)
            ]
            return torch.cat(parts)


@contextmanager
def _without_tf32(device: torch.device) -> Iterator[None]:
    """Real float32 for convolutions and products on a GPU; the default of cuDNN is TF32."""
    import torch

    if device.type == "cpu":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    owners = (cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul)
    before = [owner.fp32_precision for owner in owners]
    try:
        for owner in owners:
            owner.fp32_precision = "ieee"
        yield
    finally:
        for owner, precision in zip(owners, before, strict=True):
            owner.fp32_precision = precision


def resolve_device(name: str) -> torch.device:
    """The device called auto, cpu or cuda.

    Raises:
        UserError: another name, or no such device here.
    """
    import torch

    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device here: use --device cpu (eleatt-bench doctor)")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def feature_size(name: str, network: Callable[[Tensor], Tensor], pictures: Tensor) -> int:
    """How many numbers ``network`` gives per picture, tried on pairs of ``pictures`` (3, 3, h, w).

    Raises:
        UserError: it gives something else than one finite vector per picture, or the vector of a
            picture depends on what else is in the batch.
    """
    import torch

    with torch.inference_mode(), enough_memory():
        try:
            first, second = network(pictures[:2]), network(pictures[[0, 2]])
        except (RuntimeError, AssertionError, TypeError) as error:
            if _is_memory(error):
                raise
            raise UserError(
                f"{name} fails on a batch of {tuple(pictures[:2].shape)} "
                f"({in_a_line(error)}): give a backbone that takes (N, 3, height, width) float32, "
                "on the device asked for"
            ) from error
    if not torch.is_tensor(first) or first.ndim != 2 or len(first) != 2:
        gives = tuple(first.shape) if torch.is_tensor(first) else type(first).__name__
        raise UserError(
            f"{name} gives {gives} for a batch of 2 pictures, not (2, D): give a backbone with one "
            "vector per picture"
        )
    if not torch.isfinite(first).all():
        raise UserError(f"{name} gives values that are not finite: give other weights")
    if not torch.allclose(first[0].float(), second[0].float(), rtol=1e-2, atol=1e-3):
        raise UserError(
            f"{name} gives a picture another vector when another picture is beside it: call "
            ".eval() before torch.export.export"
        )
    return int(first.shape[1])


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn what torch raises when memory runs out into a `UserError`."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        raise UserError("Out of memory: try a smaller --batch-size") from error


def _is_memory(error: Exception) -> bool:
    import torch

    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "DefaultCPUAllocator" in str(error)
