"""What doctor finds, on this machine and on one that lacks something."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

from eleatt_bench.cli import main

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_it_names_versions_devices_extras_data_and_folders(capsys) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert heads == ["Versions", "Devices", "Extras", "Data sets", "Folders"]
    assert any(line.split() == ["torch", metadata.version("torch")] for line in lines)
    assert "  report             ready" in lines
    assert any(line.startswith("  nucla              not prepared: eleatt-bench") for line in lines)


def test_it_says_how_a_missing_extra_is_installed(capsys, monkeypatch) -> None:
    here = metadata.version

    def other(name: str) -> str:
        if name == "plotly":
            raise metadata.PackageNotFoundError(name)
        return "4.9.1" if name == "optuna" else here(name)

    monkeypatch.setattr(metadata, "version", other)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "report             lacks plotly: pip install 'eleatt-bench[report]'" in said
    assert re.search(r"search +has optuna 4\.9\.1, needs \S+: pip install 'eleatt-bench\[s", said)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: "runs" not in str(path))
    assert main(["doctor"]) == 0
    assert "NOT WRITABLE: choose another folder with ELEATT_RUNS" in capsys.readouterr().out
