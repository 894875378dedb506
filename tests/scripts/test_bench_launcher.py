"""The scripts that measure starting jobs and showing tables, and the page of what they wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import rows_of, run

pytestmark = pytest.mark.slow


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
