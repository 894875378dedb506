"""The script that measures starting jobs, and the page made of what it wrote."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.mark.slow
def test_warm_and_cold_jobs_are_measured_and_shown(tmp_path: Path) -> None:
    measured = tmp_path / "launcher.csv"

    def run(script: str, *arguments: str) -> str:
        command = [sys.executable, str(SCRIPTS / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run("bench_launcher.py", "--jobs", "2", "--csv", str(measured))
    assert said.splitlines()[-1].startswith("warm costs ")
    with measured.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["start"] for row in rows] == ["warm", "cold"]
    assert all(float(row["cost_median"]) > 0 for row in rows)
    page = run("performance_page.py", str(measured))
    assert "| warm, 2 jobs | " in page
    assert "| cold, 2 jobs | " in page
