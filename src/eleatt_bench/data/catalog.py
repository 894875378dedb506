"""The stores of the known data sets: where they lie, and how they come to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.datasets import PARTS, part
from eleatt_bench.data.datasets import entry as entry
from eleatt_bench.data.datasets import names as names
from eleatt_bench.data.release import Release
from eleatt_bench.data.store import PART_OF, SequenceStore, prepare_command, read_digest
from eleatt_bench.data.store import read_layout as store_layout
from eleatt_bench.data.writing import Progress, write_store


def store_path(data_dir: Path, name: str) -> Path:
    """Where the store of data set ``name``, or the one that it is a part of, lies or will lie."""
    return data_dir / "prepared" / f"{_whole(name)}.h5"


def open_store(data_dir: Path, name: str) -> SequenceStore:
    """The store of data set ``name``, or its part of one; an embedded one is prepared if need be.

    Raises:
        UserError: it is not prepared, or damaged.
    """
    path = _existing(data_dir, name)
    if path is None:
        raise _not_prepared(data_dir, name)
    return _open(path, name)


def read_layout(data_dir: Path, name: str) -> dict[str, Any]:
    """What a frame of data set ``name`` is, as `SequenceStore.layout`; nothing else is read.

    Raises:
        UserError: its store is not prepared, or damaged.
    """
    if name in PARTS:
        return PARTS[name].layout
    return store_layout(store_path(data_dir, name), name)


def data_digest(data_dir: Path, name: str) -> str | None:
    """The content digest of a store, None if it is not prepared; embedded ones are prepared.

    Raises:
        UserError: the store is damaged.
    """
    path = _existing(data_dir, name)
    return None if path is None else read_digest(path, name=_whole(name))


def prepare(
    data_dir: Path,
    name: str,
    source: Path | None,
    progress: Progress | None = None,
    *,
    skip_bad: bool = False,
) -> SequenceStore:
    """Make the store of data set ``name`` from the published files at ``source``, anew.

    The old store, if any, stays until the new one is complete and verified. With ``skip_bad`` bad
    samples are left out, and the store tells which.

    Raises:
        UserError: no source, a source that is missing, damaged or of something else, a bad sample,
            or a folder that cannot be written.
    """
    data_set = entry(name)
    _check_whole(name)
    if data_set.embedded and source is not None:
        raise UserError(f"{name} takes no --source ({data_set.where}): {prepare_command(name)}")
    if not data_set.embedded and source is None:
        raise UserError(
            f"data prepare {name} needs its source, {data_set.where}: {prepare_command(name)}"
        )
    release = data_set.read(source)
    with _alone(data_dir, name) as path:
        return _write(path, name, release, progress, skip_bad)


def write(data_dir: Path, name: str, release: Release, *, skip_bad: bool = False) -> SequenceStore:
    """Make the store of data set ``name`` from ``release``, anew; the rest is as for `prepare`."""
    with _alone(data_dir, entry(name).name) as path:
        return _write(path, name, release, skip_bad=skip_bad)


def download(data_dir: Path, name: str) -> Path:
    """Fetch the published files of data set ``name``; the folder they are in.

    Raises:
        UserError: it cannot be fetched by a program, or not now.
    """
    data_set = entry(name)
    _check_whole(name)
    if data_set.embedded:
        raise UserError(f"{name} needs no download ({data_set.where}): {prepare_command(name)}")
    if data_set.download is None:
        raise UserError(
            f"{name} must be fetched by hand: get {data_set.where}, then {prepare_command(name)}"
        )
    folder = data_dir / "raw" / name
    with _writing(folder):
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
        store = _open(path, name)
    except UserError as error:
        return f"damaged: {error}"
    return f"ready ({len(store.labels):,} sequences)"


def _whole(name: str) -> str:
    """The data set in whose store ``name`` is."""
    return PART_OF.get(name, entry(name).name)


def _check_whole(name: str) -> None:
    if name in PART_OF:
        raise UserError(
            f"{name} is a part of {PART_OF[name]} and has no store of its own: "
            f"{prepare_command(name)}"
        )


def _open(path: Path, name: str) -> SequenceStore:
    store = SequenceStore.open(path, name=_whole(name))
    return part(store, name) if name in PART_OF else store


def _existing(data_dir: Path, name: str) -> Path | None:
    """The path of the store, which an embedded data set gets now if it has none."""
    path = store_path(data_dir, name)
    if path.exists():
        return path
    if not entry(name).embedded:
        return None
    with _alone(data_dir, name):
        if not path.exists():  # another process may have made it while this one waited
            _write(path, name, entry(name).read(None))
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
    from filelock import FileLock

    path = store_path(data_dir, name)
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{name}.lock")):
            for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of a killed process
                leftover.unlink()
            yield path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not the operating system's
            raise
        raise UserError(
            f"Cannot write to {folder} ({error.strerror}): mend that, or choose another folder "
            "with ELEATT_DATA=FOLDER"
        ) from error


def _not_prepared(data_dir: Path, name: str) -> UserError:
    return UserError(
        f"Data set {name!r} is not prepared: {store_path(data_dir, name)} is missing. Make it with "
        f"{prepare_command(name)} (the source is {entry(name).where})"
    )
