"""Which test samples a finished run got right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.errors import UserError

CLEAN = "accuracy_clean"
"""The metric that leaves out test samples that repeat a training sample."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of N test samples, their names and whether the prediction is right."""

    names: npt.NDArray[np.bytes_]
    right: npt.NDArray[np.bool_]


def read_predictions(path: Path, metric: str = "accuracy") -> Predictions | None:
    """The ``predictions.h5`` of a run, of the samples that ``metric`` is about.

    None where there is no such file.

    Raises:
        UserError: a file that is damaged.
    """
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            names = file["name"][...].astype(bytes)
            right = file["logits"][...].argmax(axis=1) == file["label"][...]
            chosen = file["clean"][...] if metric == CLEAN else slice(None)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        run = path.parent.name
        raise UserError(
            f"{path} is damaged ({error}). Make it anew: eleatt-bench runs show {run} says the "
            "run's command; add force=true"
        ) from error
    return Predictions(names[chosen], right[chosen])
