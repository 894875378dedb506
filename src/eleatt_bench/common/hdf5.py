"""Safe reading of data sets from HDF5 files that somebody else may have written."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
_LARGEST = 1 << 28  # bytes of a column; those of the largest data set take a hundredth of it
LARGEST_CHUNK = 1 << 26  # bytes; a chunk is unpacked as a whole, even for one of its values


def group(file: h5py.Group, name: str) -> h5py.Group:
    """The group ``name`` of ``file``, if it lies in this very file.

    Raises:
        KeyError: there is no group of that name, or it is a link to somewhere else.
    """
    found = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Group):
        raise KeyError(f"it has no {name}")
    return found


def local(group: h5py.Group, name: str) -> h5py.Dataset:
    """The data set ``name`` of ``group``, if its values lie in this very file and are plain.

    A link may lead to any file of this machine, and so may a data set's storage; a filter may be
    any program, and one chunk of a few bytes may unpack to gigabytes.

    Raises:
        KeyError: there is no data set of that name, or it is a link to somewhere else.
        ValueError: its text names the data set and says what is wrong with it.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise KeyError(f"it has no {name}")
    found = group[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ValueError(f"its {name} is not an array")
    if found.external or found.is_virtual:
        raise ValueError(f"its {name} is not an array of this file")
    made = found.id.get_create_plist()
    if {made.get_filter(index)[0] for index in range(made.get_nfilters())} - _FILTERS:
        raise ValueError(f"its {name} is packed in a way that is not read here")
    size = found.dtype.itemsize
    for axis in found.chunks or ():
        size *= axis
    if found.chunks and size > LARGEST_CHUNK:
        raise ValueError(f"its {name} is stored in chunks of {size:,} bytes")
    return found


def values(group: h5py.Group, name: str, kinds: str) -> npt.NDArray[Any]:
    """The whole column ``name``, whose type must be one of ``kinds`` (NumPy's letters).

    Raises:
        KeyError, ValueError: as `local`; or it is of another type or too large for a column.
    """
    column = local(group, name)
    if column.dtype.kind not in kinds:
        raise ValueError(f"its {name} is of type {column.dtype}")
    if column.nbytes > _LARGEST:
        raise ValueError(f"its {name} has {column.nbytes:,} bytes")
    found: npt.NDArray[Any] = column[...]
    return found


def integers(group: h5py.Group, name: str) -> npt.NDArray[np.int64]:
    """A column of whole numbers; raises as `values`."""
    return values(group, name, "iu").astype(np.int64)


def texts(group: h5py.Group, name: str) -> tuple[str, ...]:
    """A column of texts in UTF-8, all of the same width in bytes; raises as `values`."""
    return tuple(text.decode() for text in values(group, name, "S").tolist())
