"""Samples into a store: complete and verified, or not there at all."""

from __future__ import annotations

import io
import json
import tempfile
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import replacing
from eleatt_bench.common.signals import interrupted_afterwards
from eleatt_bench.data.digests import ContentHash, attributes_digest, sequence_digest
from eleatt_bench.data.release import BadSample, SourceError, required
from eleatt_bench.data.store import FORMAT_VERSION, Integers, Omission, Sample, SequenceStore

Progress = Callable[[int, int | None], None]
"""Called with the number of samples done, and of all if that is known."""

_COPIED = 1 << 24  # bytes copied at a time


def write_store(
    path: Path,
    *,
    name: str,
    samples: Iterable[Sample | BadSample],
    class_names: Sequence[str],
    layout: dict[str, Any],
    source: str,
    total: int | None = None,
    origin_applied: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> SequenceStore:
    """Write ``samples``, in their order, to a new store at ``path``, and open it.

    The store is written under another name, read back and verified before it takes its place;
    until then whatever was at ``path`` stays. ``source`` says in words where the samples come
    from; ``total`` is only handed on to ``progress``. With ``skip_bad`` the store is written
    without the bad samples and tells which they are and why.

    Raises:
        UserError: a `BadSample`, or a sample without frames, with a value that is not finite or of
            another width, all of which are left out with ``skip_bad``; or a sample with a name that
            was there before; or no good samples at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A contiguous HDF5 data set cannot grow, so the frames wait in a file without a name, which
    # is gone even if this process is killed.
    with tempfile.TemporaryFile(dir=path.parent) as spooled:
        spool = _Spool(spooled, name, len(class_names))
        with closing(_each(samples)) as stream:
            for done, found in enumerate(stream, start=1):
                spool.take(found, skip_bad=skip_bad)
                if progress is not None:
                    progress(done, total)
        spooled.flush()
        with replacing(path) as temporary:
            with (
                interrupted_afterwards() as came,  # HDF5 turns what is raised into its errors
                _open_disk(temporary) as disk,
                h5py.File(disk, "w", alignment_threshold=1, alignment_interval=64) as file,
            ):
                file.attrs["format_version"] = FORMAT_VERSION
                file.attrs["dataset"] = name
                file.attrs["class_names"] = list(class_names)
                file.attrs["layout"] = json.dumps(layout, sort_keys=True)
                file.attrs["source"] = source
                file.attrs["origin_applied"] = origin_applied
                file.attrs["attributes_digest"] = attributes_digest(
                    name, class_names, json.loads(file.attrs["layout"]), origin_applied
                )
                spool.write(file, came)
            SequenceStore.open(temporary, name=name).verify()
    return SequenceStore.open(path, name=name)


class _StoppedError(Exception):
    """A signal came; its own handler decides what follows."""


class _Disk:
    """The file that HDF5 writes to; it stores the disk's first error instead of raising it.

    HDF5 cannot close a file after a failed write, and crashes later.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: memoryview) -> int:
        try:
            written = 0
            while written < len(data):  # a disk that is nearly full takes a part
                written += self._file.write(data[written:])
        except OSError as error:
            self.error = self.error or error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)  # read, seek, …


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Write data to ``folder``; if that fails, the error names the remedy.

    Raises:
        UserError: instead of an OSError of the operating system.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # of a library
            raise
        raise UserError(
            f"Cannot write to {folder} ({error.strerror}): mend that, or choose another folder "
            "with ELEATT_DATA=FOLDER, then run the same command again"
        ) from error


@contextmanager
def _open_disk(path: Path) -> Iterator[_Disk]:
    with path.open("w+b", buffering=0) as file:
        disk = _Disk(file)
        try:
            yield disk
        finally:
            if disk.error is not None:
                raise disk.error


def _each(
    samples: Iterable[Sample | BadSample],
) -> Generator[Sample | BadSample, None, None]:
    """``samples`` as a generator: if it is closed, they are closed at once, if they can be."""
    yield from samples


class _TwiceError(SourceError):
    """Two samples have the same name."""


class _Spool:
    """Checks samples one by one; keeps their frames in ``file`` and the rest in memory."""

    def __init__(self, file: IO[bytes], dataset: str, num_classes: int) -> None:
        self.file, self.dataset, self.num_classes = file, dataset, num_classes
        self.width = 0
        self.offsets = array("q", [0])
        self.labels = array("q")
        self.names: dict[str, None] = {}
        self.metadata: dict[str, array[int]] = {}
        self.digests: list[bytes] = []
        self.omitted: list[Omission] = []

    def take(self, found: Sample | BadSample, *, skip_bad: bool) -> None:
        """Add the sample, or with ``skip_bad`` note that it is left out, if it is bad."""
        try:
            self._add(required(found))
        except _TwiceError:  # which of the two is right, nobody can tell
            raise
        except UserError as error:
            if not skip_bad:
                raise UserError(f"{error}, or leave such samples out with --skip-bad") from error
            bad = BadSample(found.name, error)
            self.omitted.append(Omission(bad.name, bad.reason))

    def _add(self, sample: Sample) -> None:
        frames = np.ascontiguousarray(sample.frames, dtype="<f4")
        self._check(sample, frames)
        self.file.write(frames.data)  # ndarray.tofile does not notice a full disk
        self.offsets.append(self.offsets[-1] + len(frames))
        self.labels.append(sample.label)
        self.names[sample.name] = None
        for key, value in sample.metadata.items():
            self.metadata[key].append(value)
        self.digests.append(sequence_digest(frames))

    def _check(self, sample: Sample, frames: np.ndarray[Any, Any]) -> None:
        if frames.ndim != 2 or not frames.size:
            raise self._wrong(sample, f"has no frames (its shape is {frames.shape})")
        if not self.names:
            self.width = frames.shape[1]
            self.metadata = {key: array("q") for key in sample.metadata}
        if frames.shape[1] != self.width:
            raise self._wrong(
                sample, f"has {frames.shape[1]} values per frame, the first sample {self.width}"
            )
        finite = np.isfinite(frames)
        if not finite.all():
            frame = int((~finite).any(axis=1).argmax())
            raise self._wrong(sample, f"has a value in frame {frame} that is not finite")
        if sample.name in self.names:
            raise _TwiceError(
                f"Sample {sample.name!r} of {self.dataset} is there twice",
                f"take one of them away, then run eleatt-bench data prepare {self.dataset} again",
            )
        if not 0 <= sample.label < self.num_classes or sample.metadata.keys() != (
            self.metadata.keys()
        ):
            raise ValueError(f"{self.dataset}: label or metadata of {sample.name} do not fit")

    def _wrong(self, sample: Sample, what: str) -> SourceError:
        return SourceError(
            f"Sample {sample.name!r} of {self.dataset} {what}",
            f"mend or replace the source, then run eleatt-bench data prepare {self.dataset} again",
        )

    def write(self, file: h5py.File, came: Sequence[int]) -> None:
        """Write everything gathered, and its digests, to ``file``; stop if a signal ``came``."""
        if not self.names:
            count = len(self.omitted)
            what = "no samples"
            if self.omitted:
                what = f"{count:,} samples and all are bad (the first: {self.omitted[0].reason})"
            raise UserError(
                f"The source of {self.dataset} has {what}: give another one with "
                f"eleatt-bench data prepare {self.dataset} --source PATH"
            )
        content = ContentHash()
        self._write_frames(file, content, came)
        offsets, labels = _integers(self.offsets), _integers(self.labels)
        metadata = {key: _integers(column) for key, column in self.metadata.items()}
        file["offsets"], file["label"] = offsets, labels
        file["name"] = _texts(self.names)
        columns = file.create_group("metadata")
        for key, column in metadata.items():
            columns[key] = column
        file["sequence_digest"] = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 16)
        if self.omitted:
            omitted = file.create_group("omitted")
            for key, texts in zip(Omission._fields, zip(*self.omitted, strict=True), strict=True):
                omitted[key] = _texts(texts)
        file.attrs["content_digest"] = content.digest(
            self.width, offsets, labels, tuple(self.names), metadata
        )

    def _write_frames(self, file: h5py.File, content: ContentHash, came: Sequence[int]) -> None:
        frames = file.create_dataset("frames", (self.offsets[-1], self.width), dtype="<f4")
        rows = max(1, _COPIED // (4 * self.width))
        self.file.seek(0)
        for start in range(0, len(frames), rows):
            if came:
                raise _StoppedError
            count = min(rows, len(frames) - start) * self.width
            piece = np.fromfile(self.file, dtype="<f4", count=count).reshape(-1, self.width)
            frames[start : start + len(piece)] = piece
            content.frames(piece)


def _texts(texts: Iterable[str]) -> np.ndarray[Any, Any]:
    encoded = [text.encode() for text in texts]
    width = max(1, *map(len, encoded))
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", width))


def _integers(values: array[int]) -> Integers:
    return np.array(values, dtype=np.int64)
