"""Exported runs: one format for a zip, a folder, and ``results/``.

The format is a folder of runs. Each run has its record, configuration, curves, predictions and,
unless it is published, the weights that were tested.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import is_replaceable, writing
from eleatt_bench.runs.compact import brief, compact, placeless
from eleatt_bench.runs.record import Record, RunFolder, as_text

Files = Mapping[str, Path | bytes]
"""The files of a run, by their paths in its folder: where each file is, or what is in it."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip's earliest: the same runs always make the same file
_CHUNK = 1 << 20


def files_of(folder: RunFolder, *, published: bool = False) -> Files:
    """The files of a finished run to export; if ``published``, compact and without weights.

    Raises:
        UserError: the run is not finished, or lacks a file; a file is a link, which is not
            followed; or the predictions to be made compact are damaged.
    """
    status = folder.status()
    if status != "finished":
        raise UserError(f"{folder.run_id} is {status}: only a finished run is exported")
    record = folder.read() or {}
    weights = tested_weights(folder, record)
    files = [folder.config, folder.record, folder.predictions, *([] if published else [weights])]
    for file in (folder.path, folder.checkpoints, folder.epochs, *files):
        if file.is_symlink():
            raise UserError(
                f"{file} is a link to {file.readlink()}: only what lies in the run's own folder is "
                "exported. Put what it leads to in its place"
            )
    for file in files:
        if not file.is_file():
            without = "" if published else ", or export it without weights: --published"
            raise UserError(
                f"{folder.run_id} lacks {file}: train it again with force=true"
                f"{without if file == weights else ''}"
            )
    files += [folder.epochs] if folder.epochs.is_file() else []
    found: dict[str, Path | bytes] = {
        file.relative_to(folder.path).as_posix(): file for file in files
    }
    if published:
        try:
            record, predictions = compact(folder, record)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder.predictions} is damaged ({error})") from error
        config = placeless(folder.config.read_text(encoding="utf-8"))
        found |= {folder.record.name: as_text(record).encode()}
        found |= {folder.config.name: config.encode()}
        found |= {folder.predictions.name: predictions}
        if folder.epochs in files:
            curves = folder.epochs.read_text(encoding="utf-8")
            found |= {folder.epochs.name: brief(curves).encode()}
    return found


def tested_weights(folder: RunFolder, record: Record) -> Path:
    """The checkpoint that the run of ``record`` was tested with, there or not."""
    return folder.checkpoints / f"{record.get('selection', 'best')}.ckpt"


def export(runs: Mapping[str, Files], path: Path) -> int:
    """Write ``runs``, by name, to a zip at ``path``, atomically, and verify it; its size in bytes.

    Unpacked in a folder of runs, the zip gives these runs again.

    Raises:
        UserError: a file of a run changed meanwhile, or ``path`` is a folder, a pipe or a device.
    """
    if not is_replaceable(path):
        raise UserError(f"{path} is no regular file, which a zip has to be: name another one")
    members = {f"{run}/{name}": file for run, files in runs.items() for name, file in files.items()}
    with writing(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in members.items():
                _add(archive, file, name)
        with zipfile.ZipFile(temporary) as archive:
            for name, file in members.items():
                with archive.open(name) as packed, opened(file) as original:
                    same = _digest(packed) == _digest(original)  # type: ignore[arg-type]
                if not same:
                    raise UserError(f"{file!s} changed while it was exported; try again")
        return temporary.stat().st_size


def opened(file: Path | bytes) -> BinaryIO:
    """The content of ``file``, opened for reading."""
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def _add(archive: zipfile.ZipFile, file: Path | bytes, name: str) -> None:
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    with opened(file) as source, archive.open(info, "w", force_zip64=True) as target:
        for chunk in chunks(source):
            target.write(chunk)


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks(file):
        digest.update(chunk)
    return digest.digest()


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The content of ``file``, a part at a time."""
    while chunk := file.read(_CHUNK):
        yield chunk
