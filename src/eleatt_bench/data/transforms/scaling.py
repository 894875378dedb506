"""Skeletons of other sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def random_factors(limit: float, limits: Sequence[float], uniform: Floats) -> Floats:
    """What each sequence's x, y and z are multiplied by, (B, 3).

    It is the product of a factor in 1 ± ``limit`` that the three share and one in 1 ± ``limits``
    for each axis; ``uniform`` (B, 4), between -1 and 1, says where, the shared one first.
    """
    return (1 + limit * uniform[:, :1]) * (1 + np.asarray(limits) * uniform[:, 1:])
