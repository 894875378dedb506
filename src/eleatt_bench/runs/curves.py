"""The curves of a run, from its event files, while it runs and afterwards."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

Curve = dict[int, float]
"""A value for each epoch, from 1, in the order of the epochs."""

_HEAD = struct.Struct("<Q4x")  # the length of an event and the checksum of that
_TAIL = struct.Struct("<I")  # the checksum of the event


class CurveReader:
    """Reads the event files in ``folder``, which need not be there yet, each line only once.

    ``tags`` name the curves; None means all that are there. A run flushes them before an epoch
    counts as done. A continued run writes another file; what it logs of an epoch that was trained
    twice is that of the second time.
    """

    def __init__(self, folder: Path, tags: Sequence[str] | None = None) -> None:
        self._folder = folder
        self._wanted = tags
        self._read: dict[Path, int] = {}  # so many bytes of each file
        self._curves: dict[str, Curve] = {tag: {} for tag in tags or ()}

    def read(self) -> dict[str, Curve]:
        """What was logged so far under each tag; an empty curve where nothing was."""
        for path in sorted(self._folder.glob("events.out.tfevents.*")):
            for step, tag, value in self._values(path):
                self._curves.setdefault(tag, {})[step] = value
        return {tag: dict(sorted(curve.items())) for tag, curve in self._curves.items()}

    def _wants(self, tag: str) -> bool:
        return self._wanted is None or tag in self._wanted

    def _values(self, path: Path) -> Iterator[tuple[int, str, float]]:
        """Step, tag and value of what was not read yet, up to the first damaged or partial event.

        TensorBoard's own reader sums up all bytes in Python, nine tenths of them pictures'. Here
        only the sums of events with curves are compared.
        """
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                (length,) = _HEAD.unpack(head)
                body = file.read(min(length + _TAIL.size, path.stat().st_size))
                content, checksum = body[:length], body[length:]
                if len(checksum) < _TAIL.size:
                    return
                try:
                    event = Event.FromString(content)
                except DecodeError:
                    return
                found = [
                    (event.step, value.tag, value.simple_value)
                    for value in event.summary.value
                    if value.HasField("simple_value") and self._wants(value.tag)
                ]
                if found and _TAIL.unpack(checksum) != (masked_crc32c(content),):
                    return
                self._read[path] = file.tell()
                yield from found
