"""The benchmarks of preparing data and of loading them leave their numbers and nothing else."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import pytest

from .conftest import SCRIPTS, rows_of, run

GENERATED = "as many generated sequences as NTU RGB+D trains on"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The numbers of a small store, beside the empty folder where it was."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "scratch").mkdir()
    said = run(
        "bench_data.py", "--stores", GENERATED, "--sequences", "40", "--rounds", "3",
        "--scratch", str(folder / "scratch"), "--csv", str(folder / "data.csv"),
    )  # fmt: skip
    assert f"{GENERATED}: 40 sequences" in said
    return folder / "data.csv"


def test_a_row_for_each_network(measured: Path) -> None:
    rows = rows_of(measured)
    assert [row["model"] for row in rows] == ["eleatt_gru", "gru"]
    for row in rows:
        assert (row["experiment"], row["sequences"], row["batch_size"]) == ("ntu_aug", "40", "256")
        quartiles = [float(row[f"ratio_{q}"]) for q in ("q1", "median", "q3")]
        assert 0 < quartiles[0] <= quartiles[1] <= quartiles[2]
        path = float(row["load_seconds"]) + float(row["transform_seconds"])
        assert 0 < path < float(row["step_seconds"])
        faster = float(row["path_samples_per_second"]) / float(row["network_samples_per_second"])
        assert faster > 1
        assert 0 < float(row["open_seconds"]) < float(row["startup_seconds"]) + 1
        assert 40 * 20 * 600 <= int(row["store_bytes"]) <= 40 * 300 * 600


def test_the_generated_store_is_gone(measured: Path) -> None:
    assert not list((measured.parent / "scratch").iterdir())


def test_a_store_that_is_not_there_is_named(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", ["bench_data.py", "--stores", "nucla", "--data-dir", "/no"])
    with pytest.raises(SystemExit, match=r"^Error: .*data prepare nucla --source PATH"):
        importlib.import_module("bench_data").main()


def test_the_page_has_the_numbers_and_says_what_was_missed(measured: Path) -> None:
    rows = rows_of(measured)
    for row, ratio, opening in zip(rows, ("10.04", "9.94"), ("0.19", "0.21"), strict=True):
        row.update(ratio_median=ratio, open_seconds=opening)
    with measured.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    said = run("performance_page.py", str(measured))
    assert "## How fast samples come: " in said
    (reached,) = [line for line in said.splitlines() if "ntu_aug, eleatt_gru" in line]
    (missed,) = [line for line in said.splitlines() if "ntu_aug, gru" in line]
    assert "| 190.0 ms |" in reached
    assert "missed" not in reached
    assert "| 210.0 ms **missed** |" in missed
    assert missed.endswith(" **missed** |")
    assert f"{1e3 * float(rows[0]['step_seconds']):.1f} ms" in reached


def test_a_folder_and_an_archive_are_prepared_measured_and_shown(tmp_path: Path) -> None:
    scratch, measured = tmp_path / "scratch", tmp_path / "prepare.csv"
    scratch.mkdir()
    said = run(
        "bench_prepare.py", "--files", "300", "--scratch", str(scratch), "--csv", str(measured)
    )
    assert said.count("300 sequences of NTU RGB+D, 300 skeleton files") == 2
    assert not list(scratch.iterdir())
    rows = rows_of(measured)
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
