"""A backbone from a program that `torch.export.save` wrote, network and weights in one file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.rgb.backbones.contract import Backbone, feature_size

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ENDING = ".pt2"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue
_CROP, _SHORT = 224, 256  # pixels: the crop, and the shorter side that it is cut from


def load(path: Path, device: torch.device) -> Backbone:
    """The program at ``path``, which takes (N, 3, h, w) float32 and gives (N, D).

    Frames are resized, cropped in their centre and normalised as `prepare` says: to the h × w
    that the program was exported for, or to 224 × 224 if it takes any.

    Raises:
        UserError: no such file, not a program, one that takes or gives something else, or one
            exported for a single batch size.
    """
    exported = _read(path)
    height, width = _input_size(path, exported)
    network = _on_device(exported, device)
    small = partial(prepare, height=height, width=width)
    pictures = _pictures(height, width).to(device)
    return Backbone(
        name=path.name,
        weights=f"those in {path.name}",
        weights_digest=_digest(path),
        preprocessing=f"shorter side {_short(height, width)}, centre {height} x {width}, "
        f"mean {MEAN}, std {STD}",
        size=feature_size(str(path), network, pictures),
        device=device,
        prepare=small,
        network=network,
    )


def prepare(frame: Tensor, *, height: int, width: int) -> Tensor:
    """A picture (3, H, W) uint8, 0 to 255, as (3, ``height``, ``width``) float32, normalised.

    The shorter side is resized to 256/224 of the longer one of ``height`` and ``width`` (bilinear,
    smoothed), the centre is cut out, and the mean and deviation of ImageNet's colours are applied:
    what torchvision does for most of its weights.
    """
    import torch
    from torch.nn import functional as F

    short = _short(height, width)
    H, W = frame.shape[1:]
    size = (short, short * W // H) if H <= W else (short * H // W, short)
    resized = F.interpolate(frame[None], size, mode="bilinear", antialias=True)[0]
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    cut = resized[:, top : top + height, left : left + width].float() / 255
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return (cut - mean[:, None, None]) / std[:, None, None]


def _short(height: int, width: int) -> int:
    return round(max(height, width) * _SHORT / _CROP)


def _read(path: Path) -> Any:
    import torch

    if not path.is_file():
        raise UserError(f"{path} is not a file: give --backbone a program of torch.export.save")
    try:
        with _quiet():
            return torch.export.load(path)
    except Exception as error:  # damage makes it raise almost anything
        raise UserError(
            f"{path} is not a program that torch {torch.__version__} can load: write it again with "
            "torch.export.save"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the traceback that torch logs before it raises."""
    log = logging.getLogger("torch.export")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _input_size(path: Path, exported: Any) -> tuple[int, int]:
    import torch

    names = exported.graph_signature.user_inputs
    inputs = [node.meta.get("val") for node in exported.graph.nodes if node.name in names]
    value: Any = inputs[0] if len(names) == len(inputs) == 1 else None
    fits = torch.is_tensor(value) and value.ndim == 4 and value.dtype == torch.float32
    if not fits or value.shape[1] != 3:
        takes = [f"{v.dtype} {tuple(v.shape)}" if torch.is_tensor(v) else str(v) for v in inputs]
        raise UserError(
            f"{path} takes {' and '.join(takes) or 'nothing'}, not one float32 (N, 3, height, "
            "width): export it with such an input"
        )
    if isinstance(value.shape[0], int):
        raise UserError(
            f"{path} was exported for batches of {value.shape[0]} alone: export it with "
            'dynamic_shapes=({0: torch.export.Dim("batch")},) and an example of 2 pictures'
        )
    height, width = (side if isinstance(side, int) else _CROP for side in value.shape[2:])
    return height, width


def _on_device(exported: Any, device: torch.device) -> Any:
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(exported, device).module()


def _pictures(height: int, width: int) -> Tensor:
    """Three different pictures of noise, to try a network on."""
    import torch

    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(0))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
