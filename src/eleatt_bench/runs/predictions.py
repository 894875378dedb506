"""What a finished run took its test samples for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import replacing

CLEAN = "accuracy_clean"
"""The metric that leaves out test samples that repeat a training sample."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of N test samples and C classes."""

    names: npt.NDArray[np.bytes_]  # (N,)
    labels: npt.NDArray[np.int64]  # (N,)
    logits: npt.NDArray[np.float32]  # (N, C)
    class_names: tuple[str, ...]  # C
    clean: npt.NDArray[np.bool_] | None = None  # (N,): which repeat no training sample, if some do

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The class of the highest logit, (N,)."""
        found: npt.NDArray[np.int64] = self.logits.argmax(axis=1)
        return found

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the prediction is the label, (N,)."""
        found: npt.NDArray[np.bool_] = self.predicted == self.labels
        return found


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
            labels = file["label"][...].astype(np.int64)
            logits = file["logits"][...].astype(np.float32)
            class_names = tuple(str(name) for name in file.attrs["class_names"])
            chosen = file["clean"][...] if metric == CLEAN else slice(None)
            if logits.shape != (len(labels), len(class_names)) or len(names) != len(labels):
                raise ValueError("its parts are of different sizes")
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        run = path.parent.name
        raise UserError(
            f"{path} is damaged ({error}). Make it anew: eleatt-bench runs show {run} says the "
            "run's command; add force=true"
        ) from error
    return Predictions(names[chosen], labels[chosen], logits[chosen], class_names)


def write_predictions(path: Path, predictions: Predictions, dataset: str) -> None:
    """Write ``predictions`` of ``dataset``'s test samples to an HDF5 file, atomically."""
    content = io.BytesIO()  # a file that h5py cannot finish, on a full disk, it cannot close either
    with h5py.File(content, "w") as file:
        file.attrs["dataset"] = dataset
        file.attrs["class_names"] = list(predictions.class_names)
        file["logits"] = predictions.logits
        file["label"] = predictions.labels
        file["name"] = [name.decode() for name in predictions.names]
        if predictions.clean is not None:
            file["clean"] = predictions.clean
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
