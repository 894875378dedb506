"""Where things lie that no setting names."""

from __future__ import annotations

import os
from pathlib import Path

from eleatt_bench.common.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package ``eleatt_bench``."""


def package_code(*rooms: str) -> list[Path]:
    """The Python files at the top of ``rooms`` of this package, e.g. ``common``; in order."""
    return sorted(path for room in rooms for path in (PACKAGE / room).glob("*.py"))


def config_dir() -> Path:
    """The folder ``configs/``: inside the installed package, or at the top of the checkout."""
    for folder in (PACKAGE / "configs", PACKAGE.parents[1] / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise UserError(
        f"No configs beside {PACKAGE}: the installation is incomplete. "
        "Install again: pip install --force-reinstall eleatt-bench"
    )


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/eleatt-bench``, by default ``~/.cache/eleatt-bench``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "eleatt-bench"


def data_dir() -> Path:
    """Where data sets lie: ``ELEATT_DATA``, or ``data`` in the working folder."""
    return Path(os.environ.get("ELEATT_DATA", "data"))


def runs_dir() -> Path:
    """Where runs lie: ``ELEATT_RUNS``, or ``runs`` in the working folder."""
    return Path(os.environ.get("ELEATT_RUNS", "runs"))
