"""docs/performance.md is what its script makes of the measured files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import rows_of, run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    files = sorted((ROOT / "docs" / "performance").glob("*.csv"))
    shown = run("performance_page.py", *map(str, files))
    assert shown == PAGE, "write it anew: scripts/performance_page.py says how"


def numbers(cell: str) -> tuple[float, float]:
    """Of ``0.23–0.55``, or of a number alone."""
    least, _, most = cell.partition("–")
    return float(least), float(most or least)


@pytest.mark.parametrize("name", ["cpu-1-thread", "cpu"])
def test_no_shape_is_beyond_what_is_said_of_all(name: str) -> None:
    """EleAtt-GRU on `native` in training, of full and of ragged batches."""
    measured = rows_of(ROOT / "docs" / "performance" / f"{name}.csv")
    section = PAGE[PAGE.index(f": `{name}.csv`") :]
    said = re.findall(r"^\| EleAtt-GRU \| native \| ([\d.–]+) ", section, re.MULTILINE)[:2]
    here = [
        r for r in measured
        if (r["cell"], r["gate"], r["backend"], r["mode"]) == ("GRU", "sigmoid", "native", "train")
    ]  # fmt: skip
    for cell, ragged in zip(said, ("False", "True"), strict=True):
        found = [float(r["ratio_median"]) for r in here if r["ragged"] == ragged]
        assert numbers(cell) == (round(min(found), 2), round(max(found), 2))
