"""The predictions of a finished run for its test samples."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.common import hdf5
from eleatt_bench.common.errors import UserError, in_a_line, reason
from eleatt_bench.common.files import read_bounded, write_bytes
from eleatt_bench.runs.apart import Apart
from eleatt_bench.runs.record import RunFolder

_MOST = 1 << 28  # bytes; the largest test set here takes a tenth of it

CLEAN = "accuracy_clean"
"""The metric that leaves out test samples that repeat a training sample."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions for N test samples, with C classes."""

    names: npt.NDArray[np.bytes_]  # (N,)
    labels: npt.NDArray[np.int64]  # (N,)
    logits: npt.NDArray[np.floating[Any]]  # (N, C)
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

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """The softmax of each sample's logits, in double precision, (N, C)."""
        exact = self.logits.astype(np.float64)
        powers = np.exp(exact - exact.max(axis=1, keepdims=True))
        found: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return found

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """How many samples of each class are taken for each: (C, C), actual by predicted."""
        size = len(self.class_names)
        places = self.labels * size + self.predicted
        return np.bincount(places, minlength=size * size).reshape(size, size)


def read_predictions(folder: RunFolder, metric: str = "accuracy") -> Predictions | None:
    """The predictions of a run for those of its test samples that ``metric`` is about.

    None if there is no such file, or no sample that the metric is about. The record has the digest
    of the file. If a record of an earlier version lacks it, another process first tries whether the
    file can be read at all.

    Raises:
        UserError: the file is damaged.
    """
    path, record = folder.predictions, folder.read() or {}
    measured = metric in record.get("metrics", {}).get("test", {})
    try:
        return _of(checked(folder, record.get("predictions_digest")), metric, measured)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({reason(error)}). Make it anew: eleatt-bench runs show "
            f"{folder.run_id} says the run's command; add force=true"
        ) from error


def checked(folder: RunFolder, digest: str | None, *, trusted: bool = True) -> Predictions:
    """The predictions in the folder of a run, checked against the ``digest`` in its record.

    If there is no digest, or it is not ``trusted``, another process reads the file first.

    Raises:
        OSError, ValueError: the predictions cannot be read, or are damaged.
    """
    content = read_bounded(folder.predictions, _MOST)
    if digest is not None and digest_of(content) != digest:
        raise ValueError("it is not what the record says was written")
    if digest is None or not trusted:
        _APART.check(content)
    return parse(content)


def accuracy(found: Predictions, metric: str) -> float | None:
    """The accuracy ``metric`` of the predictions; None if they do not determine it."""
    right = {"accuracy": found.right}
    if found.clean is not None and found.clean.any():
        right[CLEAN] = found.right[found.clean]
    return float(right[metric].mean()) if metric in right else None


def _of(found: Predictions, metric: str, measured: bool) -> Predictions | None:
    if metric != CLEAN:
        return found
    chosen = found.clean
    if chosen is None or not chosen.any():
        if measured:
            raise ValueError("it does not say which samples repeat none of the training")
        return None
    return replace(
        found, names=found.names[chosen], labels=found.labels[chosen], logits=found.logits[chosen],
        clean=None,
    )  # fmt: skip


def parse(content: bytes) -> Predictions:
    """The predictions in an HDF5 file with this ``content``; the sizes that it states are checked.

    Raises:
        ValueError: ``content`` holds no predictions, with the reason.
    """
    try:
        found = _read(content)
    except Exception as error:  # HDF5 has many ways to fail
        raise ValueError(in_a_line(error)) from None
    count, classes = found.labels.size, len(found.class_names)
    columns = [part for part in (found.names, found.labels, found.clean) if part is not None]
    if found.logits.shape != (count, classes) or any(part.shape != (count,) for part in columns):
        raise ValueError("its parts are of different sizes")
    b"".join(found.names.tolist()).decode()
    if count == 0 or classes == 0:
        raise ValueError("it holds no samples")
    if not np.isfinite(found.logits).all():
        raise ValueError("it has logits that are no numbers")
    if found.labels.min() < 0 or found.labels.max() >= classes:
        raise ValueError("it has labels of no class")
    return found


def _read(content: bytes) -> Predictions:
    """What the file holds, of whatever shapes and values."""
    with h5py.File(h5py.h5f.open_file_image(content)) as file:
        names = _array(file, "name", "OS", len(content))
        labels = _array(file, "label", "iu", len(content))
        logits = _array(file, "logits", "f", len(content))
        clean = _array(file, "clean", "b", len(content)) if "clean" in file else None
        class_names = _texts(file.attrs.get("class_names"))
    "".join(class_names).encode()
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        return Predictions(
            names.astype(bytes), labels.astype(np.int64), logits.astype(np.float32), class_names,
            None if clean is None else clean.astype(bool),
        )  # fmt: skip


def _texts(names: object) -> tuple[str, ...]:
    """The class names: bytes of a fixed width in a published file, else texts of any width."""
    if not isinstance(names, np.ndarray) or names.ndim != 1:
        raise ValueError("its class_names are no list")
    if not all(isinstance(name, str | bytes) for name in names):
        raise ValueError("its class_names are no texts")
    return tuple(name.decode() if isinstance(name, bytes) else name for name in names)


_APART = Apart(parse)


def _array(file: h5py.File, name: str, kinds: str, most: int) -> npt.NDArray[Any]:
    """The array ``name`` of ``file``, of one of ``kinds`` and of at most ``most`` bytes.

    A packed array may unpack to more, but only as far as a chunk may. ``kinds`` are those of
    NumPy's types; ``O`` stands for texts of any width.
    """
    found = hdf5.local(file, name)
    texts = found.dtype.kind == "O"
    if found.dtype.kind not in kinds or (texts and h5py.check_string_dtype(found.dtype) is None):
        raise ValueError(f"its {name} is of type {found.dtype}")
    if found.chunks and texts:  # their sizes are not known before they are read
        raise ValueError(f"its {name} is packed in a way that is not read here")
    most = hdf5.LARGEST_CHUNK if found.chunks else most
    if found.size * max(1, found.dtype.itemsize) > most:
        raise ValueError(f"its {name} is larger than the file")
    array: npt.NDArray[Any] = found[...]
    if texts and array.size * max(map(len, array.flat), default=0) > 16 * most:
        raise ValueError(f"its {name} is larger than the file")  # as texts of equal width
    return array


def digest_of(content: bytes) -> str:
    """The digest of a file of predictions, as a record has it."""
    return hashlib.sha256(content).hexdigest()


def write_predictions(path: Path, predictions: Predictions, dataset: str) -> str:
    """Write ``predictions`` of ``dataset``'s test samples to an HDF5 file, atomically.

    Returns its digest, for the record.
    """
    content = io.BytesIO()  # in memory: on a full disk h5py can neither finish nor close a file
    with h5py.File(content, "w") as file:
        file.attrs["dataset"] = dataset
        file.attrs["class_names"] = list(predictions.class_names)
        file["logits"] = predictions.logits
        file["label"] = predictions.labels
        file["name"] = [name.decode() for name in predictions.names]
        if predictions.clean is not None:
            file["clean"] = predictions.clean
    write_bytes(path, content.getvalue())
    return digest_of(content.getvalue())
