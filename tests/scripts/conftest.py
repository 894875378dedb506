"""The scripts, run as a person runs them, and the numbers that they write."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(script: str, *arguments: str) -> str:
    """What ``script`` says; it must end well, without a warning."""
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by their columns' names."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
