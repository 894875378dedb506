"""The stores of the known data sets: where they lie, and how they are made and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eleatt_bench.common.cache import Cache
from eleatt_bench.common.errors import DamagedDataError, UserError
from eleatt_bench.common.files import FileState, alone, temporaries
from eleatt_bench.data import completeness, datasets
from eleatt_bench.data.datasets import entry as entry
from eleatt_bench.data.datasets import names as names
from eleatt_bench.data.datasets import part, prepare_command
from eleatt_bench.data.release import Release
from eleatt_bench.data.store import SequenceStore, StoreError, read_count, read_digest, read_width
from eleatt_bench.data.store import read_layout as store_layout
from eleatt_bench.data.writing import Progress, filling, write_store


def store_path(data_dir: Path, name: str) -> Path:
    """The path of the store of data set ``name``, or of the data set that it is a part of."""
    return data_dir / "prepared" / f"{_whole(name)}.h5"


def open_store(data_dir: Path, name: str) -> SequenceStore:
    """The store of data set ``name``; that of an embedded data set is made if need be.

    The content of the file is compared with its digests once. From then on the file is believed to
    be sound as long as its path, size and times stay the same.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    return _checked(data_dir, name, again=False)


def verify(data_dir: Path, name: str) -> SequenceStore:
    """The store of data set ``name``, as `open_store`, but read and compared in any case."""
    return _checked(data_dir, name, again=True)


def _checked(data_dir: Path, name: str, *, again: bool) -> SequenceStore:
    path = _existing(data_dir, name)
    if path is None:
        raise _not_prepared(data_dir, name)
    with _mended(name):
        store = SequenceStore.open(path, name=_whole(name))
        _check(store, again)
    return part(store, name)


def read_layout(data_dir: Path, name: str) -> dict[str, Any]:
    """What a frame of data set ``name`` is, as `SequenceStore.layout`; nothing else is read.

    Raises:
        UserError: its store is not prepared, or damaged.
    """
    data_set = entry(name)
    if data_set.part and not isinstance(data_set.frame, int):
        return dict(data_set.frame)
    with _mended(name):
        return store_layout(store_path(data_dir, name), name)


def data_digest(data_dir: Path, name: str) -> str | None:
    """The content digest of a store, None if it is not prepared; an embedded one is made now.

    Raises:
        UserError: the store is damaged.
    """
    path = _existing(data_dir, name)
    if path is None:
        return None
    with _mended(name):
        return read_digest(path, name=_whole(name))


def incomplete(data_dir: Path, name: str) -> str | None:
    """The `completeness.remark` on a store; None if it is complete or not prepared.

    Raises:
        UserError: the store is damaged.
    """
    path = store_path(data_dir, name)
    if not path.exists():
        return None
    with _mended(name):
        return completeness.remark(name, read_count(path, _whole(name)))


def frame_width(data_dir: Path, name: str) -> int:
    """The number of values of a frame of data set ``name``, as `SequenceStore.input_size`.

    Raises:
        UserError: its store is not prepared, or damaged.
    """
    if chosen := entry(name).part:
        return len(chosen.columns)
    with _mended(name):
        return read_width(store_path(data_dir, name), name)


def prepare(
    data_dir: Path,
    name: str,
    source: Path | None,
    progress: Progress | None = None,
    *,
    splits: Path | None = None,
    skip_bad: bool = False,
    left_out: Callable[[str], None] = lambda line: None,
) -> SequenceStore:
    """Make the store of data set ``name`` from the published files at ``source``, anew.

    The old store, if any, stays until the new one is complete and verified. ``splits`` is the path
    of lists of folds, which some data sets take. With ``skip_bad`` bad samples are left out, and
    the store tells which. At the end ``left_out`` is called with each line about what else the
    source holds.

    Raises:
        UserError: no source, a source that is missing, damaged or of something else, a bad sample,
            or a folder that cannot be written.
    """
    release = datasets.reader(name, source, splits)()
    with _alone(data_dir, name) as path:
        store = _write(path, name, release, progress, skip_bad)
    for line in release.left_out:
        left_out(line)
    return store


def write(data_dir: Path, name: str, release: Release, *, skip_bad: bool = False) -> SequenceStore:
    """Make the store of data set ``name`` from ``release``, anew; the rest is as for `prepare`."""
    with _alone(data_dir, entry(name).name) as path:
        return _write(path, name, release, skip_bad=skip_bad)


def download(data_dir: Path, name: str) -> Path:
    """Fetch the published files of data set ``name``; the folder they are in.

    Raises:
        UserError: it cannot be fetched by a program, or not now.
    """
    data_set = datasets.whole_entry(name)
    if data_set.embedded:
        raise UserError(f"{name} needs no download ({data_set.where}): {data_set.command}")
    if data_set.download is None:
        raise UserError(
            f"{name} must be fetched by hand: get {data_set.where}, then {data_set.command}"
        )
    folder = data_dir / "raw" / name
    with filling(folder):
        folder.mkdir(parents=True, exist_ok=True)
        data_set.download(folder)
    return folder


def status(data_dir: Path, name: str) -> str:
    """``ready``, ``not prepared`` or ``damaged`` in a line that also says what to type."""
    path = store_path(data_dir, name)
    if not path.exists():
        if entry(name).embedded:
            return "not prepared: will be at its first use"
        return f"not prepared: {prepare_command(name)} ({entry(name).where})"
    try:
        with _mended(name):
            count = len(SequenceStore.open(path, name=_whole(name)).labels)
    except UserError as error:
        return f"damaged: {error}"
    return f"ready ({completeness.shortfall(name, count) or f'{count:,} sequences'})"


def _whole(name: str) -> str:
    """The data set whose store holds ``name``."""
    chosen = entry(name).part
    return chosen.whole if chosen else name


@contextmanager
def _mended(name: str) -> Iterator[None]:
    """Add to a `StoreError` the command that makes the store of data set ``name`` anew."""
    try:
        yield
    except StoreError as error:
        raise DamagedDataError(f"{error}. Make it anew with: {prepare_command(name)}") from error


def _check(store: SequenceStore, again: bool) -> None:
    """Read all of ``store``, unless this very file was found sound before and ``again`` is False.

    Raises:
        StoreError: something in it was changed since it was written.
    """
    kept = Cache("stores", "1", most=1000)
    if not store.sealed:  # written before stores had this digest: the first one seen counts
        first = kept.find(["inputs", store.content_digest], lambda: store.inputs_digest)
        if first != store.inputs_digest:
            raise StoreError(f"{store.path} is damaged: its classes, layout or origin changed")
    file = FileState.of(store.path.stat())  # before it is read
    if again:
        store.verify()
    this = [str(store.path.resolve()), file.key, store.content_digest]
    kept.find(this, lambda: again or _verified(store), keep=file.settled)
    kept.write()


def _verified(store: SequenceStore) -> bool:
    store.verify()
    return True


def _existing(data_dir: Path, name: str) -> Path | None:
    """The path of the store or None; the store of an embedded data set is made if it is missing."""
    path = store_path(data_dir, name)
    if path.exists():
        return path
    if not entry(name).embedded:
        return None
    release = datasets.reader(name, None, None)()
    with _alone(data_dir, name):
        if not path.exists():  # another process may have made it while this one waited
            _write(path, name, release)
    return path


def _write(
    path: Path,
    name: str,
    release: Release,
    progress: Progress | None = None,
    skip_bad: bool = False,
) -> SequenceStore:
    return write_store(
        path,
        name=name,
        samples=release.samples,
        class_names=release.class_names,
        layout=release.layout,
        source=release.description,
        origin_applied=release.origin_applied,
        total=release.count,
        skip_bad=skip_bad,
        progress=progress,
    )


@contextmanager
def _alone(data_dir: Path, name: str) -> Iterator[Path]:
    """The store's path, with the right to write it; waits while another process has it."""
    path = store_path(data_dir, name)
    with filling(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_name(f".{name}.lock")):
            for leftover, _ in temporaries(path):  # of a killed process
                leftover.unlink()
            yield path


def _not_prepared(data_dir: Path, name: str) -> UserError:
    return UserError(
        f"Data set {name!r} is not prepared: {store_path(data_dir, name)} is missing. Make it with "
        f"{prepare_command(name)} (the source is {entry(name).where})"
    )
