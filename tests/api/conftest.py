"""One run, trained from Python as a user would."""

from __future__ import annotations

from pathlib import Path

import pytest

import eleatt_bench as eb


@pytest.fixture(scope="session")
def run(trained: Path) -> eb.LoadedRun:
    (found,) = eb.load_runs(trained / "runs")
    return found


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs; the environment names it and its data as the user's folders."""
    monkeypatch.setenv("ELEATT_RUNS", str(trained / "runs"))
    monkeypatch.setenv("ELEATT_DATA", str(trained / "data"))
    return trained / "runs"
