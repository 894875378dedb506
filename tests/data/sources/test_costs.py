"""Small files that would cost gigabytes or minutes: refused for less than either.

Each is read by a process of its own that may not take more memory than is said here.
"""

from __future__ import annotations

import io
import itertools
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from scipy.io import savemat

READ = """
import resource, sys, time
from pathlib import Path
from eleatt_bench.common.errors import UserError
from eleatt_bench.data.datasets import reader
from eleatt_bench.data.release import BadSample
name, path = sys.argv[1:]
try:
    for found in reader(name, Path(path), None)().samples:
        if isinstance(found, BadSample):
            raise found.error
except UserError as error:
    print(error)
peak = next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM"))
print(int(peak) // 1000, time.process_time())
"""
MOST_MEGABYTES, MOST_SECONDS = 1000, 20

NTU = "S001C001P001R001A001.skeleton"
NUCLA = "a01_s01_e00_v01.json"
TRIAL = "gesture_1/finger_1/subject_1/essai_1/skeletons_world.txt"
LINE = b"1 1 1 1 1 1 3"


def sysu(content: bytes) -> dict[str, bytes]:
    sound = io.BytesIO()
    savemat(sound, {"SW": [[[0.5, 0.5]] * 3] * 20})
    trials = itertools.product(range(1, 41), range(1, 13))
    names = [f"3DvideoNorm/{s:02d}/video{a}/sklWorld.mat" for s, a in trials]
    return {name: sound.getvalue() for name in names} | {names[0]: content}


def one_chunk() -> bytes:
    """Of 2.9 GB, of which two frames are wanted."""
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512) as hdf5:
        shape, chunk = (2, 3, 20), (6_000_000, 3, 20)
        stored = hdf5.create_dataset(
            "SW", shape, "f8", chunks=chunk, maxshape=(None, 3, 20), compression="gzip"
        )
        packed = zlib.compressobj(1)
        data = b"".join(packed.compress(bytes(1 << 20)) for _ in range(2746)) + packed.flush()
        stored.id.write_direct_chunk((0, 0, 0), data)
    return file.getvalue()


def many_variables() -> bytes:
    head = io.BytesIO()
    savemat(head, {"SW": 0.5})
    packed = zlib.compress(bytes(1 << 26))
    return head.getvalue()[:128] + 480 * (struct.pack("<2I", 15, len(packed)) + packed)


BOMBS: dict[str, tuple[str, Callable[[], dict[str, bytes]], str]] = {
    "one chunk": ("sysu", lambda: sysu(one_chunk()), "is stored in chunks of 2,880,000,000 bytes"),
    "many variables": ("sysu", lambda: sysu(many_variables()), "unpacks to more than 67,108,864"),
    "frames without bodies": ("ntu", lambda: {NTU: b"8000000\n" + b"0\n" * 8_000_000}, "lines"),
    "short fields": ("ntu", lambda: {NTU: b"1 " * 8_000_000}, "has more than 1,048,576 fields"),
    "words": ("ntu", lambda: {NTU: b"1\n1\n" + b"nan " * 1_000_000}, "has 1000000 fields, not"),
    "digits": ("ntu", lambda: {NTU: b"1\n1\n" + b"1" * 16_000_000}, "has 1 fields, not the 10"),
    "words in JSON": (
        "nucla",
        lambda: {NUCLA: json.dumps({"skeletons": [["x" * 600] * 600] * 2}).encode()},
        "with 600 in place of 20 joints",
    ),
    "lists": ("nucla", lambda: {NUCLA: b'{"skeletons":[' + b"[]," * 1_300_000 + b"1]}"}, "frames"),
    "a list of empty lines": (
        "shrec17",
        lambda: {"train_gestures.txt": LINE + b"\n" * 1_000_000 + LINE, "test_gestures.txt": LINE},
        "line 2 has 0 numbers",
    ),
    "lines of a trial": (
        "shrec17",
        lambda: {"train_gestures.txt": LINE, "test_gestures.txt": b"2 1 1 1 2 3 3",
                 TRIAL: b"1\n" * 8_000_000, TRIAL.replace("e_1", "e_2"): b""},
        "has 8,000,000 lines",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "files", "says"), BOMBS.values(), ids=BOMBS)
def test_what_is_refused_costs_little(
    tmp_path: Path, name: str, files: Callable[[], dict[str, bytes]], says: str
) -> None:
    path = tmp_path / "release.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files().items():
            archive.writestr(member, content)
    command = [sys.executable, "-c", READ, name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sentence, figures = done.stdout.splitlines()
    assert says in sentence
    megabytes, seconds = map(float, figures.split())
    assert megabytes < MOST_MEGABYTES
    assert seconds < MOST_SECONDS
