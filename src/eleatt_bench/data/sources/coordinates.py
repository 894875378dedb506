"""Coordinates of joints as a source has them: refused where no camera could have seen them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.sources.archive import Source
from eleatt_bench.data.store import Frames

FAR = 100  # metres; the cameras see a few


def in_metres(
    source: Source, where: str, values: npt.NDArray[np.floating], unit: str = "frame"
) -> Frames:
    """The coordinates ``values`` (T, n), in metres, in float32; a row is a ``unit`` of ``where``.

    Raises:
        UserError: a value that is not within ±`FAR` metres.
    """
    bad = ~(np.abs(values) <= FAR).all(axis=1)  # NaN is not ≤ either
    if bad.any():
        raise source.wrong(
            f"{where} {unit} {int(bad.argmax()) + 1}",
            f"holds a coordinate that is not a number within ±{FAR} metres",
        )
    return values.astype(np.float32)
