"""Networks that turn a picture into a vector; `load` gives any of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eleatt_bench.common.errors import UserError

if TYPE_CHECKING:
    from eleatt_bench.data.rgb.backbones.contract import Backbone


def load(
    name: str, *, weights: Path | None = None, random: bool = False, device: str = "auto"
) -> Backbone:
    """The backbone ``name``: a classification model of torchvision, or an exported ``FILE.pt2``.

    A model of torchvision gets the weights in the file ``weights``, or with ``random`` weights
    drawn from a fixed seed, or else those that torchvision downloads. A program brings its own.
    ``device`` is auto, cpu or cuda.

    Raises:
        UserError: no such backbone, weights that do not fit, a library or a device that is not
            there, or a network that does not give one vector per picture.
    """
    from eleatt_bench.data.rgb.backbones import program, zoo
    from eleatt_bench.data.rgb.backbones.contract import resolve_device

    if weights is not None and random:
        raise UserError("--weights and --random-weights exclude each other: give one of them")
    where = resolve_device(device)
    if not name.endswith(program.ENDING):
        return zoo.load(name, weights, random, where)
    if weights is not None or random:
        given = "--random-weights" if random else "--weights"
        raise UserError(f"{name} brings its weights: leave out {given}")
    return program.load(Path(name), where)
