"""The scripts that measure starting jobs and showing tables, and the page of what they wrote."""

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
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_warm_and_cold_jobs_are_measured_and_shown(tmp_path: Path) -> None:
    measured = tmp_path / "launcher.csv"
    said = run("bench_launcher.py", "--jobs", "2", "--csv", str(measured))
    assert said.splitlines()[-1].startswith("warm costs ")
    rows = rows_of(measured)
    assert [row["start"] for row in rows] == ["warm", "cold"]
    assert all(float(row["cost_median"]) > 0 for row in rows)
    page = run("performance_page.py", str(measured))
    assert "| warm, 2 jobs | " in page
    assert "| cold, 2 jobs | " in page


def test_tables_are_measured_and_shown(tmp_path: Path) -> None:
    measured = tmp_path / "table.csv"
    sizes = ("--rows", "2", "--seeds", "5", "--repeats", "2")
    said = run("bench_table.py", *sizes, "--csv", str(measured))
    assert said.splitlines()[-1].startswith("2 times the runs take ")
    rows = rows_of(measured)
    found = [(row["command"], row["runs"], row["run_folders"]) for row in rows]
    assert found == [
        ("table", "10", "10"), ("table", "8", "10"), ("table", "6", "10"), ("runs list", "10", "10")
    ]  # fmt: skip
    assert float(rows[0]["seconds_first"]) > float(rows[0]["seconds_median"]) > 0
    assert all(1e7 < int(row["peak_bytes"]) < 1e9 for row in rows)
    page = run("performance_page.py", str(measured))
    assert "| `table`, 10 runs | " in page
    assert "| `runs list`, 10 runs | " in page
