"""A run as one file, to be kept or given away."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import replacing
from eleatt_bench.runs.record import RunFolder

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can name: one run always makes the same file
_CHUNK = 1 << 20


def export(folder: RunFolder, path: Path) -> int:
    """Write a finished run to a zip at ``path``, atomically, and read it back; its bytes.

    It holds the configuration, the record, the weights that were tested, the predictions and, where
    there is one, epochs.csv, in a folder of the run's name: unpacked in a folder of runs, it is
    that run again.

    Raises:
        UserError: the run is not finished, lacks one of these, or changed meanwhile; or a link is
            among them, which is not followed.
    """
    status = folder.status()
    if status != "finished":
        raise UserError(f"{folder.run_id} is {status}: only a finished run is exported")
    record = folder.read() or {}
    files = [
        folder.config,
        folder.record,
        folder.checkpoints / f"{record.get('selection', 'best')}.ckpt",
        folder.predictions,
    ]
    for file in (folder.path, folder.checkpoints, *files):
        if file.is_symlink():
            raise UserError(
                f"{file} is a link to {file.readlink()}: only what lies in the run's own folder is "
                "exported. Put what it leads to in its place"
            )
    for file in files:
        if not file.is_file():
            raise UserError(f"{folder.run_id} lacks {file}: train it again with force=true")
    files += [folder.epochs] if folder.epochs.is_file() else []
    with replacing(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                _add(archive, file, _name(folder, file))
        with zipfile.ZipFile(temporary) as archive:
            for file in files:
                with archive.open(_name(folder, file)) as packed, file.open("rb") as original:
                    same = _digest(packed) == _digest(original)  # type: ignore[arg-type]
                if not same:
                    raise UserError(f"{file} changed while it was exported; try again")
        return temporary.stat().st_size


def _name(folder: RunFolder, file: Path) -> str:
    return f"{folder.run_id}/{file.relative_to(folder.path).as_posix()}"


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    info = zipfile.ZipInfo(name, _EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
        for chunk in _chunks(source):
            target.write(chunk)


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return digest.digest()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
