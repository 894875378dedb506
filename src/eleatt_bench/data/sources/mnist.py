"""MNIST from its four IDX files, as published or as everybody mirrors them."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import Release, SourceError
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.data.store import Sample

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The four files and the MD5 of each, uncompressed: compressed copies differ between mirrors."""

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_PREPARE = "eleatt-bench data prepare mnist --source"
_PARTS = ("train", "t10k")
LAYOUT = {"kind": "image", "height": 28, "width": 28}
_FILES = re.compile(
    r"(?:.*/)?(?:train|t10k)-(?:images[-.]idx3|labels[-.]idx1)-ubyte(?:\.gz)?", re.IGNORECASE
)
_MOST_COPIES = 8  # of one file
_LARGEST = 1 << 26  # bytes; the images to train on are 47 million


def read(path: Path) -> Release:
    """The images at ``path``: 28 frames (rows, top first) of 28 pixels in [0, 1].

    The files lie in any folder of ``path``, a folder or a zip archive. They may be compressed
    (``.gz``) or not, and be spelt ``…-idx3-ubyte`` or ``….idx3-ubyte``; of several copies one must
    be the published file. ``split`` is 0 for the 60,000 training images, 1 for the 10,000 others.

    Raises:
        UserError: no such path, or a file is missing, cut short, or not the published one.
    """
    source = Source(path, "MNIST", f"{_PREPARE} PATH", _LARGEST)
    members = source.find(_FILES, "train-images-idx3-ubyte")
    copies = {name: [m for m in members if _spelt(m.path.name) == name] for name in MD5}
    arrays = {name: _published(found, name) for name, found in copies.items() if found}
    for name in (name for name in MD5 if name not in arrays):
        raise SourceError(
            f"{path} has no {name} (nor {name}.gz)",
            f"MNIST needs {', '.join(MD5)}, which eleatt-bench data download mnist fetches, then "
            f"{source.command}",
        )
    images = [arrays[f"{part}-images-idx3-ubyte"] for part in _PARTS]
    labels = [arrays[f"{part}-labels-idx1-ubyte"] for part in _PARTS]
    return Release(
        description="MNIST, four IDX files of the published MD5",
        class_names=tuple("0123456789"),
        layout=LAYOUT,
        count=sum(len(part) for part in labels),
        samples=_samples(images, labels),
        left_out=source.left_out.lines(),
    )


def download(folder: Path) -> None:
    """Fetch the four files into ``folder``, from the first mirror that has them unharmed.

    Files that are there already and are the published ones are left alone.

    Raises:
        UserError: no mirror answers, or what comes is something else.
    """
    for name in MD5:
        problems: list[str] = []
        if not any(_fetch(url, name, folder, problems) for url in ("", *MIRRORS)):
            raise UserError(
                f"Cannot download MNIST ({problems[-1]}): fetch "
                f"{', '.join(f'{n}.gz' for n in MD5)} by hand from {' or '.join(MIRRORS)} into "
                f"{folder}, then {_PREPARE} {folder}"
            )


def _samples(
    images: list[npt.NDArray[np.uint8]], labels: list[npt.NDArray[np.uint8]]
) -> Iterator[Sample]:
    for split, part in enumerate(_PARTS):
        pixels = images[split].astype(np.float32) / 255
        for index, label in enumerate(labels[split].tolist()):
            yield Sample(f"{part}_{index:05d}", pixels[index], label, {"split": split})


def _published(copies: list[Member], name: str) -> npt.NDArray[np.uint8]:
    """The array of the first of ``copies`` of the file ``name`` that is the published one."""
    errors = []
    for member in copies[:_MOST_COPIES]:
        try:
            return _array(member.where, member.load(), name)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def _spelt(name: str) -> str:
    return name.lower().removesuffix(".gz").replace(".idx", "-idx")


def _array(where: str, content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """The array in the IDX file ``content``: (N, 28, 28) images or (N,) labels.

    IDX: two zero bytes, the type (8: unsigned byte), the number of axes, the size of each axis as
    a big-endian 32-bit integer, the values.
    """
    content = _unpacked(where, content)
    axes = 3 if "idx3" in name else 1
    head = 4 + 4 * axes
    if len(content) < head or content[:4] != bytes((0, 0, 8, axes)):
        raise _wrong(where, "is not an IDX file of unsigned bytes in the right number of axes")
    shape = struct.unpack(f">{axes}I", content[4:head])
    values = np.frombuffer(content, np.uint8, offset=head)
    if len(values) != math.prod(shape):
        raise _wrong(where, f"has {len(values):,} values where its head announces {shape}")
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
        raise _wrong(where, f"is not the published file (its content's MD5 is not {MD5[name]})")
    return values.reshape(shape)


def _unpacked(where: str, content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):  # some browsers unpack, and leave the name as it was
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = file.read(_LARGEST + 1)
    except EOFError as error:
        raise _wrong(where, "is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _wrong(where, f"cannot be unpacked ({error})") from error
    if len(content) > _LARGEST:
        raise _wrong(where, "is larger than any of MNIST's files")
    return content


def _wrong(where: str, what: str) -> SourceError:
    return SourceError(
        f"{where} {what}", f"remove it, run eleatt-bench data download mnist, then {_PREPARE} PATH"
    )


def _fetch(url: str, name: str, folder: Path, problems: list[str]) -> bool:
    """Get ``name`` from ``url`` (empty: look whether it is there); on failure note why."""
    import pooch

    path = folder / f"{name}.gz"
    if url:
        path.unlink(missing_ok=True)
        pooch.get_logger().setLevel(logging.WARNING)
        try:
            pooch.retrieve(
                f"{url}{path.name}",
                known_hash=None,  # of the archive; the content is checked below
                fname=path.name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            problems.append(f"{url}: {type(error).__name__}")
            return False
    elif not path.exists():
        return False
    try:
        _array(str(path), path.read_bytes(), name)
    except UserError:
        path.unlink()
        problems.append(f"{url or folder}: {path.name} is not the published file")
        return False
    return True
