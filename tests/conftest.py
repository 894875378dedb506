"""What several rooms' tests share: the command line as a real process, and the shared real data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def user_environment() -> dict[str, str]:
    """This process's environment without what would change where data and runs lie."""
    ours = ("ELEATT_", "COMP_", "HYDRA_")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


@pytest.fixture
def command_line(tmp_path: Path, user_environment: dict[str, str]) -> CommandLine:
    """Run ``eleatt-bench`` with the given arguments in an empty folder, as a user would."""

    def run(
        *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "eleatt_bench", *arguments],
            cwd=tmp_path,
            env=user_environment | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the published data sets, or a skip."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("ELEATT_SHARED_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no published data sets in {folder} (ELEATT_SHARED_DATA names the folder)")
    return folder
