"""The published protocols of NTU RGB+D and NTU RGB+D 120, as masks over a store's metadata."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eleatt_bench.data.folds import Mask
from eleatt_bench.data.store import Integers

TRAINING_SUBJECTS = (
    1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38,
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89,
    91, 92, 93, 94, 95, 97, 98, 100, 103,
)  # fmt: skip
"""Of NTU RGB+D 120. The first row is that of NTU RGB+D, which has only subjects 1 to 40."""
TRAINING_CAMERAS = (2, 3)


def cross_subject(metadata: Mapping[str, Integers]) -> Mask:
    """True for the sequences to test on, those of all except the training subjects."""
    return ~np.isin(metadata["subject"], TRAINING_SUBJECTS)


def cross_view(metadata: Mapping[str, Integers]) -> Mask:
    """True for the sequences to test on, those of camera 1. Only of NTU RGB+D."""
    return ~np.isin(metadata["camera"], TRAINING_CAMERAS)


def cross_setup(metadata: Mapping[str, Integers]) -> Mask:
    """True for the sequences to test on, those of odd setups. Only of NTU RGB+D 120."""
    odd: Mask = metadata["setup"] % 2 == 1
    return odd
