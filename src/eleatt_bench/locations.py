"""Where things lie that no setting names."""

from __future__ import annotations

import os
from pathlib import Path

from eleatt_bench.errors import UserError


def config_dir() -> Path:
    """The folder ``configs/``: inside the installed package, or at the top of the checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "configs", package.parents[1] / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise UserError(
        f"No configs beside {package}: the installation is incomplete. "
        "Install again: pip install --force-reinstall eleatt-bench"
    )


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/eleatt-bench``, by default ``~/.cache/eleatt-bench``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "eleatt-bench"
