"""One run, trained from Python as a user would, in folders of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import eleatt_bench as eb

QUICK = ["experiment=digits", "quick=true", "model=eleatt_gru"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="session")
def run(folder: Path) -> eb.LoadedRun:
    where = [f"runs_dir={folder / 'runs'}", f"data_dir={folder / 'data'}"]
    return eb.train([*QUICK, *where], quiet=True)


@pytest.fixture
def here(folder: Path, run: eb.LoadedRun, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of runs, which is the user's."""
    monkeypatch.setenv("ELEATT_RUNS", str(folder / "runs"))
    monkeypatch.setenv("ELEATT_DATA", str(folder / "data"))
    return folder / "runs"
