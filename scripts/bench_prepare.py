"""How fast NTU RGB+D is prepared, how much memory that takes, and when the first batch is there.

    .venv/bin/python scripts/bench_prepare.py --scratch FOLDER --csv docs/performance/prepare.csv

Writes as many skeleton files as were published to FOLDER (17 GB, an archive of 3 GB and a store of
3 GB; all of it is removed again). Then the command that a user types prepares them, from the folder
and from the zip archive, and a new process makes the first training batch. Linux only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_data import ntu_sample_names
from bench_layer import machine, write_csv
from rehearsal_data import skeleton_frames, skeleton_text

from eleatt_bench.data import catalog
from eleatt_bench.data.datasets import entry

ACTORS, MOVEMENT = 64, 400  # made-up people, and how many frames each has
LENGTHS = (30, 137)  # frames of a sample; the mean is 83, as in the published ones
FIRST_BATCH = """
import sys, time
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.data.protocols import labelled
from eleatt_bench.training.datamodule import SequenceDataModule
from pathlib import Path

config = compose_config(["experiment=ntu_aug"])
began = time.perf_counter()
store = labelled(catalog.open_store(Path(sys.argv[1]), "ntu"), config["data"]["protocol"])
data = SequenceDataModule(config["data"], store, config["seed"])
data.transforms(next(iter(data.train_dataloader())), training=True)
print(time.perf_counter() - began)
"""


def actor(number: int) -> list[str]:
    """Text of each frame of a body: 25 joints that sway about a pose that is higher than wide."""
    random = np.random.default_rng(number)
    pose, sway = random.normal(size=(2, 25, 3)) * [[[0.15, 0.5, 0.15]], [[0.1, 0.1, 0.1]]]
    time_axis = np.linspace(0, 20, MOVEMENT)[:, None, None]
    return skeleton_frames(pose + sway * np.sin(time_axis + number) + [0, 0, 3])


def samples(count: int) -> Iterator[tuple[str, str]]:
    """Name and text of ``count`` samples, every fifth one of two bodies."""
    actors = [actor(number) for number in range(ACTORS)]
    random = np.random.default_rng(0)
    for index, name in enumerate(ntu_sample_names(count)):
        length = random.integers(*LENGTHS)
        starts = random.integers(MOVEMENT - length, size=1 + (index % 5 == 0))
        bodies = [actors[random.integers(ACTORS)][start : start + length] for start in starts]
        yield name, skeleton_text(bodies)


def write_folder(top: Path, count: int) -> int:
    """Write ``count`` samples as files; their total size in bytes."""
    total = 0
    top.mkdir()
    for name, content in samples(count):
        total += (top / f"{name}.skeleton").write_bytes(content.encode("ascii"))
    return total


def write_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"nturgb+d_skeletons/{file.name}")


def prepare(source: Path, data_dir: Path) -> tuple[float, int]:
    """Seconds of ``eleatt-bench data prepare ntu``, and the most bytes that its processes held."""
    command = [sys.executable, "-m", "eleatt_bench", "data", "prepare", "ntu", "--source", source]
    environment = {**os.environ, "ELEATT_DATA": str(data_dir)}
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(0.2)
    if process.returncode:
        sys.exit(f"data prepare ended with status {process.returncode}")
    return time.perf_counter() - began, peak


def held(session: int) -> int:
    """Bytes in memory of all processes of ``session``; what several of them share counts once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                rollup = (folder / "smaps_rollup").read_text()
                total += 1024 * int(re.search(r"^Pss:\s*(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
        except OSError:  # it has ended meanwhile
            continue
    return total


def first_batch(data_dir: Path) -> float:
    """Seconds to the first transformed batch, in a process that has everything imported."""
    command = [sys.executable, "-c", FIRST_BATCH, str(data_dir)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for the folder and one for the archive; printed as they come."""
    about = machine("cpu", len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        folder, archive, data_dir = (Path(scratch) / name for name in ("raw", "raw.zip", "data"))
        size = write_folder(folder, given.files)
        for form, source in (("folder", folder), ("zip archive", archive)):
            if source == archive:
                write_zip(archive, folder)
                shutil.rmtree(folder)
            seconds, peak = prepare(source, data_dir)
            store = catalog.store_path(data_dir, "ntu")
            row = {
                "prepared_from": form, "files": given.files, "source_bytes": size,
                "store_bytes": store.stat().st_size, "seconds": seconds, "peak_bytes": peak,
                "first_batch_seconds": first_batch(data_dir),
            }  # fmt: skip
            store.unlink()
            show(row)
            yield {**row, **about}


def show(row: dict[str, Any]) -> None:
    print(
        f"{row['prepared_from']}: {row['files']:,} files, {row['source_bytes'] / 1e9:.2f} GB in "
        f"{row['seconds']:.0f} s, {row['source_bytes'] / row['seconds'] / 1e6:.0f} MB/s, at most "
        f"{row['peak_bytes'] / 1e6:.0f} MB; first batch after {row['first_batch_seconds']:.2f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=entry("ntu").published)
    parser.add_argument("--scratch", type=Path, help="where all of it lies meanwhile")
    parser.add_argument("--csv", type=Path, help="write every number here")
    given = parser.parse_args()
    found = list(rows(given))
    if given.csv:
        write_csv(given.csv, found)


if __name__ == "__main__":
    main()
