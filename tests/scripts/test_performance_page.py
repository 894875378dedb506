"""docs/performance.md is what its script makes of the measured files."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    files = sorted((ROOT / "docs" / "performance").glob("*.csv"))
    command = [sys.executable, str(ROOT / "scripts" / "performance_page.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == PAGE, "write it anew: scripts/performance_page.py says how"


def numbers(cell: str) -> tuple[float, float]:
    """Of ``0.23–0.55``, or of a number alone."""
    least, _, most = cell.partition("–")
    return float(least), float(most or least)


@pytest.mark.parametrize("name", ["cpu-1-thread", "cpu"])
def test_no_shape_is_beyond_what_is_said_of_all(name: str) -> None:
    """EleAtt-GRU on `native` in training, of full and of ragged batches."""
    with (ROOT / "docs" / "performance" / f"{name}.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    section = PAGE[PAGE.index(f": `{name}.csv`") :]
    said = re.findall(r"^\| EleAtt-GRU \| native \| ([\d.–]+) ", section, re.MULTILINE)[:2]
    here = [
        r for r in measured
        if (r["cell"], r["gate"], r["backend"], r["mode"]) == ("GRU", "sigmoid", "native", "train")
    ]  # fmt: skip
    for cell, ragged in zip(said, ("False", "True"), strict=True):
        found = [float(r["ratio_median"]) for r in here if r["ragged"] == ragged]
        assert numbers(cell) == (round(min(found), 2), round(max(found), 2))
