"""The frames of a video file, decoded with PyAV (the extra ``rgb``)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from eleatt_bench.common.errors import UserError, in_a_line

Picture = npt.NDArray[np.uint8]

_MOST_FRAMES = 1024  # no clip of JHMDB or NTU RGB+D has half as many; a film would fill the memory
_MOST_PIXELS = 1 << 24  # eight times NTU RGB+D's


class BrokenVideoError(Exception):
    """A video does not hold a whole sequence of frames; the message follows the video's name."""


def decode(content: bytes) -> Iterator[Picture]:
    """The frames of an AVI file, each (height, width, 3), red green blue, 0 to 255.

    Decoders conceal small damage. Damage that can be told is refused: a file shorter than it says
    itself, frames that the decoder marks as corrupt or gives up on, and fewer than half of the
    frames that the file announces (it may announce some that were dropped when recording).

    Raises:
        BrokenVideoError: not a whole AVI file, or too large to be a clip.
        UserError: PyAV is not installed.
    """
    av = pyav()
    _check_container(content)
    count = 0
    try:
        # Only AVI, whatever the content says: some formats refer to other files.
        file = io.BytesIO(content)
        with av.open(file, format="avi", metadata_errors="replace") as container:
            if not container.streams.video:
                raise BrokenVideoError("has no video in it")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # whole clips are decoded side by side instead
            for frame in container.decode(stream):
                _check_frame(frame, count)
                count += 1
                yield frame.to_ndarray(format="rgb24")
            if not count:
                raise BrokenVideoError("has no frames")
            if 2 * count < stream.frames:
                raise BrokenVideoError(f"has {count:,} frames where it says {stream.frames:,}")
    except (BrokenVideoError, MemoryError):
        raise
    except Exception as error:  # damage makes decoders raise almost anything
        said = getattr(error, "strerror", None) or in_a_line(error)
        raise BrokenVideoError(f"cannot be decoded at frame {count} ({said})") from error


def _check_container(content: bytes) -> None:
    if not content:
        raise BrokenVideoError("is empty")
    if content[:4] != b"RIFF" or content[8:12] != b"AVI ":
        raise BrokenVideoError("is not an AVI file")
    announced = int.from_bytes(content[4:8], "little") + 8
    if announced > len(content) + 1:  # one byte of padding may be counted and missing
        raise BrokenVideoError(f"is cut short: {len(content):,} of {announced:,} bytes are there")


def _check_frame(frame: Any, count: int) -> None:
    if frame.is_corrupt:
        raise BrokenVideoError(f"is damaged at frame {count}")
    if frame.width * frame.height > _MOST_PIXELS:
        raise BrokenVideoError(f"has frames of {frame.width} × {frame.height} pixels")
    if count == _MOST_FRAMES:
        raise BrokenVideoError(f"has more than {_MOST_FRAMES:,} frames")


def pyav() -> Any:
    """The library PyAV, which decodes.

    Raises:
        UserError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"Videos are decoded with PyAV, which cannot be imported ({in_a_line(error)}): "
            "pip install 'eleatt-bench[rgb]'"
        ) from error
    return av
