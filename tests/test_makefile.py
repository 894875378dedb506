"""`make` knows every table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from eleatt_bench.config.setup import options

ROOT = Path(__file__).resolve().parents[1]


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]  # which a make around this one asks for
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_one_target_per_table() -> None:
    listed = [line.split()[1] for line in make("help").splitlines() if line.startswith("  make ")]
    assert set(options("table")) <= set(listed)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("table", options("table"))
@pytest.mark.few(3)
def test_a_tables_target_reproduces_it_with_what_is_said(table: str) -> None:
    planned = make("--dry-run", table, "ARGS=quick=true launcher.jobs=2", "CORE=README.md")
    assert planned.splitlines()[-1].endswith(
        f"eleatt-bench reproduce {table} quick=true launcher.jobs=2"
    )
