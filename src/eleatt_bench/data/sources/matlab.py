"""One floating-point array out of a MATLAB file, of MATLAB 5 or of MATLAB 7.3.

MATLAB 5 files are read here and not by ``scipy.io``, whose compiled reader crashes the process on
some damaged files. The format: 128 bytes of head, then elements, each a tag (type and size) and
data; a variable is an element of elements: flags, axes, name, values. See "MAT-File Format",
MathWorks. MATLAB 7.3 files are HDF5 after 512 bytes of head.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from eleatt_bench.common import hdf5
from eleatt_bench.common.errors import in_a_line

Array = npt.NDArray[np.floating[Any]]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_BYTE_ORDER = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}  # version 1.0 in either order
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NAME, _FLAGS, _AXES, _MATRIX, _COMPRESSED = 1, 6, 5, 14, 15  # types of elements
_CLASSES = {6: np.float64, 7: np.float32}  # of variables; others are not floating-point
_COMPLEX = 0x0800  # in the flags
_LARGEST = 1 << 26  # bytes; what claims more is damaged


def array(content: bytes, name: str, *, axes: tuple[int, ...]) -> Array:
    """The variable ``name``, of shape (*axes, n); MATLAB drops the last axis if n is 1.

    Raises:
        ValueError: its text says what is wrong with the file, as the end of a sentence that
            begins with the file's name.
    """
    if content[124:128] in _BYTE_ORDER:
        return _of_version_5(content, name, axes)
    if content.startswith(_HDF5) or content[512:520] == _HDF5:
        try:
            return _of_version_73(content, name, axes)
        except _UnfitError:
            raise
        except Exception as error:  # damage makes h5py raise almost anything
            raise ValueError(f"is damaged ({in_a_line(error)})") from error
    raise ValueError("is not a file of MATLAB 5 or 7.3")


class _UnfitError(ValueError):
    """A file can be read, but does not hold the array that is wanted."""


def _of_version_5(content: bytes, name: str, axes: tuple[int, ...]) -> Array:
    order, left = _BYTE_ORDER[content[124:128]], _LARGEST
    for kind, data in _elements(content[128:], order):
        if kind == _COMPRESSED:
            unpacked = _unpacked(data, left)
            left -= len(unpacked)
            kind, data = next(_elements(unpacked, order), (0, b""))
        if kind == _MATRIX:
            found = _variable(data, order, name, axes)
            if found is not None:
                return found
    raise _UnfitError(f"has no variable {name}")


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The type and the data of each element of ``content``."""
    at = 0
    while at < len(content):
        if at + 8 > len(content):
            raise ValueError("is cut short")
        kind, size = struct.unpack_from(f"{order}2I", content, at)
        at += 8
        if kind >> 16:  # a small one: size and type in four bytes, data in the next four
            kind, size, begin = kind & 0xFFFF, kind >> 16, at - 4
            if size > 4:
                raise ValueError(f"is damaged (a small element of {size} bytes)")
        else:
            begin, at = at, at + size + (0 if kind == _COMPRESSED else -size % 8)
        if begin + size > len(content):
            raise ValueError("is cut short")
        yield kind, content[begin : begin + size]


def _unpacked(data: bytes, left: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, left + 1)
    except zlib.error as error:
        raise ValueError(f"is damaged ({error})") from error
    if len(unpacked) > left:
        raise _UnfitError(f"unpacks to more than {_LARGEST:,} bytes")
    if not stream.eof:
        raise ValueError("is damaged (its compressed data do not end)")
    return unpacked


def _variable(data: bytes, order: str, name: str, axes: tuple[int, ...]) -> Array | None:
    """The variable if it is called ``name``."""
    parts = _elements(data, order)
    head = list(islice(parts, 3))
    if name.encode() not in (text for kind, text in head if kind == _NAME):
        return None
    if [kind for kind, _ in head] != [_FLAGS, _AXES, _NAME] or len(head[0][1]) != 8:
        raise _UnfitError(f"has a variable {name} that is not an array")
    (flags,) = struct.unpack_from(f"{order}I", head[0][1])
    shape = np.frombuffer(head[1][1], f"{order}i4").tolist() if not len(head[1][1]) % 4 else []
    dtype = _CLASSES.get(flags & 0xFF)
    _check(name, tuple(shape), axes, floating=dtype is not None and not flags & _COMPLEX)
    kind, values = next(parts, (0, b""))
    if kind not in _TYPES:
        raise ValueError("is damaged (it has an array without numbers)")
    stored = np.dtype(f"{order}{_TYPES[kind]}")  # whole numbers are stored as small as can be
    if len(values) != math.prod(shape) * stored.itemsize:
        raise ValueError(f"is damaged (its array of shape {tuple(shape)} has {len(values)} bytes)")
    numbers = np.frombuffer(values, stored).reshape((*axes, -1), order="F")
    return numbers.astype(dtype)


def _of_version_73(content: bytes, name: str, axes: tuple[int, ...]) -> Array:
    """The variable in an HDF5 file, where axes are in the opposite order."""
    with h5py.File.in_memory(content) as file:
        # A link may lead to any file of this machine, and so may a data set's storage.
        try:
            stored = hdf5.local(file, name)
        except KeyError:
            raise _UnfitError(f"has no variable {name}") from None
        except ValueError as error:
            raise _UnfitError(f"cannot be read: {error}") from error
        if stored.attrs.get("MATLAB_empty", 0):  # then its values are its own shape
            raise _UnfitError(f"has a variable {name} that is empty")
        shape = (stored.shape or ())[::-1]
        _check(name, shape, axes, floating=stored.dtype in ("f4", "f8"))
        values: Array = stored[()]
    return values.transpose().reshape((*axes, -1))


def _check(name: str, shape: tuple[int, ...], axes: tuple[int, ...], *, floating: bool) -> None:
    """Refuse an array that is not wanted, before a shape that may be false is relied on."""
    rest = shape[len(axes) :]
    if shape[: len(axes)] != axes or len(rest) > 1 or not all(n >= 0 for n in rest):
        wanted = ", ".join(map(str, axes))
        raise _UnfitError(f"has a variable {name} of shape {shape}, not ({wanted}, n)")
    if not floating:
        raise _UnfitError(f"has a variable {name} that is not of real floating-point numbers")
    if math.prod(shape) == 0:
        raise _UnfitError(f"has a variable {name} that is empty")
    if math.prod(shape) > _LARGEST // 8:
        raise _UnfitError(f"has a variable {name} of shape {shape}, more than a file can hold")
