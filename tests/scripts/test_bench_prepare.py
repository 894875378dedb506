"""The benchmark of preparing NTU RGB+D leaves its numbers and nothing else; the page has them."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
pytestmark = pytest.mark.slow


def run(script: str, *arguments: str) -> str:
    """What ``script`` says, run as a person runs it."""
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_folder_and_an_archive_are_prepared_measured_and_shown(tmp_path: Path) -> None:
    scratch, measured = tmp_path / "scratch", tmp_path / "prepare.csv"
    scratch.mkdir()
    said = run(
        "bench_prepare.py", "--files", "300", "--scratch", str(scratch), "--csv", str(measured)
    )
    assert said.count("300 sequences of NTU RGB+D, 300 skeleton files") == 2
    assert not list(scratch.iterdir())
    with measured.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["prepared_from"] for row in rows] == ["folder", "zip archive"]
    assert rows[0]["store_bytes"] == rows[1]["store_bytes"]
    for row in rows:
        assert 300 * 30 * 2_000 < int(row["source_bytes"]) < 300 * 137 * 6_000
        assert int(row["peak_bytes"]) > 20e6
        assert float(row["seconds"]) > float(row["first_batch_seconds"]) > 0
    page = run("performance_page.py", str(measured))
    (line,) = [line for line in page.splitlines() if line.startswith("| folder, 300 files")]
    size, seconds = int(rows[0]["source_bytes"]), float(rows[0]["seconds"])
    speed = size / seconds / 1e6
    assert f"{speed:.0f} MB/s{' **missed**' if speed < 150 else ''} |" in line
