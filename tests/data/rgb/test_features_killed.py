"""An extraction that is killed goes on where it was, in another process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from eleatt_bench.data import catalog

KILLED = """
import sys, time, torch
from pathlib import Path
from eleatt_bench.data.rgb.backbones.contract import Backbone
from eleatt_bench.data.rgb.features import extract
from eleatt_bench.data.rgb import ntu_rgb

def network(frames):
    time.sleep(float(sys.argv[1]))
    return frames.mean((2, 3))

slow = Backbone("slow", "random", "-", "-", 3, torch.device("cpu"), torch.Tensor.float, network)
store, done = extract(
    Path("data"), "ntu_rgb", ntu_rgb.clips(Path("videos")), slow,
    batch_size=8, skip_bad=False, report=print, progress=lambda *_: None,
)
print(done.done_before, len(store.names))
"""


@pytest.mark.slow
def test_a_killed_extraction_continues(encoded, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for action in range(1, 13):
        pictures = np.full((4, 16, 16, 3), 20 * action, dtype=np.uint8)
        path = tmp_path / "videos" / f"S001C001P001R001A{action:03d}_rgb.avi"
        path.write_bytes(encoded(pictures))
    command = [sys.executable, "-c", KILLED]
    process = subprocess.Popen([*command, "0.1"], cwd=tmp_path)
    kept = tmp_path / "data" / "features"
    while len(list(kept.glob("*/*.npz"))) < 3 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "data" / "prepared").exists()
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*/*.npz")}
    assert 3 <= len(before) < 12
    resumed = subprocess.run(
        [*command, "0"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert resumed.stdout.split() == [str(len(before)), "12"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    store = catalog.open_store(tmp_path / "data", "ntu_rgb")
    assert store.frames[:, 0].tolist() == [20 * action for action in range(1, 13) for _ in range(4)]
