"""What a store holds, as hashes of its arrays: never of the bytes of an archive or of HDF5."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from eleatt_bench.data.layout import is_features

_CHUNK = 1 << 16  # frames hashed at a time


class ContentHash:
    """SHA-256 of a whole store; `frames` takes the frames piece by piece, `digest` the rest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def frames(self, frames: npt.NDArray[np.float32]) -> None:
        """Add ``frames`` (T, D), in pieces, so that a memory map is never read in whole."""
        for start in range(0, len(frames), _CHUNK):
            self._hash.update(_bytes(frames[start : start + _CHUNK], "<f4"))

    def digest(
        self,
        frame_size: int,
        offsets: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int64],
        names: Sequence[str],
        metadata: Mapping[str, npt.NDArray[np.int64]],
    ) -> str:
        """The digest in hexadecimal, once all frames of ``frame_size`` values were added."""
        self._hash.update(f"frames:{frame_size}".encode())
        columns = {"offsets": offsets, "label": labels}
        columns.update({f"metadata/{key}": metadata[key] for key in sorted(metadata)})
        for key, column in columns.items():
            self._hash.update(f"{key}:{len(column)}".encode())
            self._hash.update(_bytes(column, "<i8"))
        for name in names:
            encoded = name.encode()
            self._hash.update(f"name:{len(encoded)}".encode() + encoded)
        return self._hash.hexdigest()


def attributes_digest(
    dataset: str, class_names: Sequence[str], layout: Mapping[str, Any], origin_applied: bool
) -> str:
    """SHA-256 of all that a store says besides its arrays; it reveals damage."""
    return _of_json([dataset, list(class_names), dict(layout), origin_applied])


def inputs_digest(
    dataset: str, num_classes: int, layout: Mapping[str, Any], origin_applied: bool
) -> str:
    """SHA-256 of everything besides the arrays that decides what a run computes from them.

    The names of classes decide nothing. Neither does the network that made features: the arrays
    hold all of them.
    """
    seen = {"kind": "features"} if is_features(layout) else dict(layout)
    return _of_json([dataset, num_classes, seen, origin_applied])


def sequence_digest(frames: npt.NDArray[np.float32]) -> bytes:
    """16 bytes that are equal for byte-identical sequences (T, D), and only for these."""
    found = hashlib.blake2b(_bytes(frames, "<f4"), digest_size=16)
    found.update(np.array(frames.shape, dtype="<i8").tobytes())
    return found.digest()


def _of_json(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _bytes(array: npt.NDArray[np.generic], dtype: str) -> memoryview:
    return np.ascontiguousarray(array, dtype=dtype).data  # a copy would take as long as the hash
