"""All sequences of one data set in one HDF5 file, mapped into memory.

The frames of all sequences stand one after the other in one contiguous array, so that every
process of a host reads them through the same page cache. `writing` makes such a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.common import hdf5
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import NO_LOCKS, file_system
from eleatt_bench.data.digests import (
    ContentHash,
    attributes_digest,
    inputs_digest,
    sequence_digest,
)
from eleatt_bench.data.layout import is_features

FORMAT_VERSION = 1
RANDOM_WEIGHTS = "random"
"""The ``weights`` in the layout of features whose network was never trained."""

Integers = npt.NDArray[np.int64]
Frames = npt.NDArray[np.float32]


class StoreError(UserError):
    """A store is missing or damaged; the message does not tell the command that mends it."""


class Sample(NamedTuple):
    """One sequence as a reader yields it; ``frames`` is (T, D) with T ≥ 1."""

    name: str
    frames: Frames
    label: int
    metadata: dict[str, int]


class Omission(NamedTuple):
    """A sample of the source that is not in the store, and what is wrong with it."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class SequenceStore:
    """N sequences of vectors of ``input_size`` values; sequence i is rows offsets[i]:offsets[i+1].

    ``layout`` says what a frame is. Its ``kind`` is "skeleton" (a frame is x, y, z of each joint;
    with ``joints``, ``bones``, ``units`` and ``origin``, the 0-based joint that the origin
    transform subtracts), "image" (a frame is a row of pixels; with ``height`` and ``width``) or
    "features" (a frame is what a network made of a picture; with ``backbone``, ``weights``,
    which is `RANDOM_WEIGHTS` or says which ones, ``weights_digest`` and ``preprocessing``).

    With ``columns`` the sequences have only these columns of ``frames``; the digests are still
    those of the whole file.
    """

    name: str
    path: Path
    content_digest: str
    class_names: tuple[str, ...]
    layout: dict[str, Any]
    source: str
    origin_applied: bool
    frames: Frames  # (total frames, D), a read-only memory map
    offsets: Integers  # (N + 1,)
    labels: Integers  # (N,)
    names: tuple[str, ...]  # N
    metadata: dict[str, Integers]  # columns of (N,)
    sequence_digests: npt.NDArray[np.uint8]  # (N, 16), equal for byte-identical sequences
    sealed: bool  # its attributes were found to match a digest in the file
    omitted: tuple[Omission, ...] = ()
    columns: Integers | None = None

    @classmethod
    def open(cls, path: Path, *, name: str | None = None) -> SequenceStore:
        """Open the store at ``path``, which must hold data set ``name`` if a name is given.

        Cheap: shapes and sizes are checked, the frames are not read (`verify` does).

        Raises:
            StoreError: no such file, not a store, cut short, of another format version or of
                another data set.
            UserError: the file cannot be read.
        """
        with _reading(path, name) as file:
            store = _read(cls, path, file)
            store._check_shapes()
        return store

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def input_size(self) -> int:
        """D, the number of values of a frame."""
        return int(self.frames.shape[1]) if self.columns is None else len(self.columns)

    @property
    def attributes_digest(self) -> str:
        """The digest of name, class names, layout and origin; it reveals a damaged file."""
        return attributes_digest(self.name, self.class_names, self.layout, self.origin_applied)

    @property
    def inputs_digest(self) -> str:
        """The digest of everything besides the arrays that decides what a run computes."""
        return inputs_digest(self.name, self.num_classes, self.layout, self.origin_applied)

    def was_seen_by(self, record: Mapping[str, Any]) -> bool:
        """Whether the run of ``record``, which saw these arrays, saw this `inputs_digest`, too.

        Records of earlier versions have only the `attributes_digest`, or none. For features that
        digest depends on the file of the weights, which does not matter to the run.
        """
        if "inputs_digest" in record:
            return bool(record["inputs_digest"] == self.inputs_digest)
        known = record.get("attributes_digest")
        return is_features(self.layout) or known in (None, self.attributes_digest)

    @cached_property
    def lengths(self) -> Integers:
        """The number of frames of each sequence, (N,)."""
        return np.diff(self.offsets)

    def rows(self, rows: slice | Integers) -> Frames:
        """The frames ``rows`` (n, D), counted through the whole file; if possible a view."""
        frames = self.frames[rows]
        return frames if self.columns is None else np.take(frames, self.columns, axis=1)

    def sequence(self, index: int) -> Frames:
        """The frames (T, D) of one sequence."""
        return self.rows(slice(self.offsets[index], self.offsets[index + 1]))

    def verify(self) -> None:
        """Read everything, all columns, and compare it with the digests.

        Raises:
            StoreError: the file holds something else than was written.
        """
        content = ContentHash()
        for index, (name, sequence) in enumerate(zip(self.names, self._read_all(), strict=True)):
            if not np.isfinite(sequence).all():
                raise self._damaged(f"sequence {name} holds a value that is not finite")
            if sequence_digest(sequence) != self.sequence_digests[index].tobytes():
                raise self._damaged(f"sequence {name} does not match its digest")
            content.frames(sequence)
        found = content.digest(
            self.frames.shape[1], self.offsets, self.labels, self.names, self.metadata
        )
        if found != self.content_digest:
            raise self._damaged("its content does not match its digest")

    def _read_all(self) -> Iterator[Frames]:
        """Every sequence, read without the map: its pages would count as this process's memory."""
        with self.path.open("rb") as file:
            file.seek(self.frames.offset)  # type: ignore[attr-defined]
            for length in self.lengths.tolist():
                content = file.read(4 * length * self.frames.shape[1])
                yield np.frombuffer(content, "<f4").reshape(length, -1)

    def _check_shapes(self) -> None:
        count = len(self.labels)
        columns = [self.names, self.sequence_digests, *self.metadata.values(), self.offsets[1:]]
        if not count or any(len(column) != count for column in columns):
            raise self._damaged("its columns are empty or of different lengths")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.frames) or self.lengths.min() < 1:
            raise self._damaged("its offsets do not fit its frames")
        if self.labels.min() < 0 or self.labels.max() >= self.num_classes:
            raise self._damaged("it has a label without a class")

    def _damaged(self, what: str) -> StoreError:
        return _damaged(self.path, what)


def read_digest(path: Path, *, name: str | None = None) -> str:
    """The content digest in the attributes of the store at ``path``; nothing else is read.

    Raises:
        UserError: as for `SequenceStore.open`.
    """
    with _reading(path, name) as file:
        return str(file.attrs["content_digest"])


def read_count(path: Path, name: str) -> int:
    """The number of sequences of the store at ``path``; nothing else is read.

    Raises:
        UserError: as for `SequenceStore.open`.
    """
    with _reading(path, name) as file:
        return len(hdf5.local(file, "label"))


def read_width(path: Path, name: str) -> int:
    """The number of values of a frame in the store at ``path``; nothing else is read.

    Raises:
        UserError: as for `SequenceStore.open`.
    """
    with _reading(path, name) as file:
        _, width = hdf5.local(file, "frames").shape
        return int(width)


def read_layout(path: Path, name: str) -> dict[str, Any]:
    """What a frame of the store at ``path`` is, as `SequenceStore.layout`; nothing else is read.

    Raises:
        UserError: as for `SequenceStore.open`.
    """
    with _reading(path, name) as file:
        layout: dict[str, Any] = _attributes(file)["layout"]
        return layout


@contextmanager
def _reading(path: Path, name: str | None) -> Iterator[h5py.File]:
    """What `open_file` opens; any failure while it is read is reported as damage."""
    with open_file(path, name) as file:
        try:
            yield file
        except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
            raise _damaged(path, str(error).strip("'\"")) from error


def open_file(path: Path, name: str | None) -> h5py.File:
    """The HDF5 file at ``path``, once it is known to be a store of this version and data set.

    HDF5's own locks are not used: stores are replaced, never changed, and some file systems have no
    locks.
    """
    try:
        if not path.is_file():
            raise StoreError(f"There is no store {path}")
        with path.open("rb") as head:
            signature = head.read(8)
        if signature != b"\x89HDF\r\n\x1a\n":
            raise StoreError(f"{path} is not an HDF5 file")
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno:  # the operating system's word
            raise _unreadable(path, error) from error
        what = "is cut short" if "truncated" in str(error) else "is damaged"
        raise StoreError(f"{path} {what}") from error
    try:
        _check_attributes(file, path, name)
    except BaseException:
        file.close()
        raise
    return file


def _unreadable(path: Path, error: OSError) -> UserError:
    said = os.strerror(error.errno or 0)
    if error.errno in NO_LOCKS:
        return UserError(
            f"{path} cannot be opened here ({said}), whole as it may be: copy it from "
            f"{file_system(path)} to another disk, and name its folder with ELEATT_DATA=FOLDER"
        )
    return UserError(f"{path} cannot be read ({said}): mend its permissions or its disk")


def _check_attributes(file: h5py.File, path: Path, name: str | None) -> None:
    try:
        version, dataset = file.attrs.get("format_version"), file.attrs.get("dataset")
        whole = "content_digest" in file.attrs
    except Exception as error:  # damage makes h5py raise almost anything
        raise StoreError(f"{path} is damaged") from error
    if version is None or dataset is None or not whole:
        raise StoreError(f"{path} is an HDF5 file, but not a store")
    if version != FORMAT_VERSION:
        raise StoreError(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION}"
        )
    if name is not None and dataset != name:
        raise StoreError(f"{path} holds the data set {dataset!r}, not {name!r}")


def _read(cls: type[SequenceStore], path: Path, file: h5py.File) -> SequenceStore:
    metadata = hdf5.group(file, "metadata")
    return cls(
        **_attributes(file),
        path=path,
        content_digest=str(file.attrs["content_digest"]),
        source=str(file.attrs["source"]),
        frames=_map(path, file),
        offsets=hdf5.integers(file, "offsets"),
        labels=hdf5.integers(file, "label"),
        names=hdf5.texts(file, "name"),
        metadata={key: hdf5.integers(metadata, key) for key in sorted(metadata)},
        sequence_digests=hdf5.values(file, "sequence_digest", "u"),
        omitted=_omitted(file),
    )


def _attributes(file: h5py.File) -> dict[str, Any]:
    """The fields of a store that ``attributes_digest`` covers, and whether that digest is there.

    Raises:
        ValueError: they do not match it.
    """
    name, class_names = str(file.attrs["dataset"]), tuple(map(str, file.attrs["class_names"]))
    layout, origin_applied = json.loads(file.attrs["layout"]), bool(file.attrs["origin_applied"])
    if not isinstance(layout, dict):
        raise ValueError("its layout is no mapping")
    recorded = file.attrs.get("attributes_digest")
    if recorded not in (None, attributes_digest(name, class_names, layout, origin_applied)):
        raise ValueError("its class names, layout or origin do not match their digest")
    return {
        "name": name, "class_names": class_names, "layout": layout,
        "origin_applied": origin_applied, "sealed": recorded is not None,
    }  # fmt: skip


def _map(path: Path, file: h5py.File) -> Frames:
    """The frames as a memory map of the file, not a copy."""
    frames = hdf5.local(file, "frames")
    start = frames.id.get_offset()
    if start is None or frames.ndim != 2 or frames.dtype != np.dtype("<f4"):
        raise ValueError("its frames are not one contiguous float32 array")
    if start + frames.nbytes > path.stat().st_size:
        raise ValueError("it is cut short")
    return np.memmap(path, dtype="<f4", mode="r", offset=start, shape=frames.shape)


def _omitted(file: h5py.File) -> tuple[Omission, ...]:
    if "omitted" not in file:
        return ()
    names, reasons = (hdf5.texts(hdf5.group(file, "omitted"), key) for key in Omission._fields)
    return tuple(Omission(*pair) for pair in zip(names, reasons, strict=True))


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(f"{path} is damaged: {what}")
