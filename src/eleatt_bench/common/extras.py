"""Libraries that not everybody needs, checked before the work that needs them."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from eleatt_bench.common.errors import UserError

LIBRARIES = {
    "figures": ("matplotlib",),
    "frames": ("pandas",),
    "mlflow": ("mlflow",),
    "ray": ("ray",),
    "report": ("jinja2", "plotly"),
    "search": ("optuna",),
    "wandb": ("wandb",),
    "weights": ("safetensors",),
}
"""The libraries that are imported for each extra of pyproject.toml."""


def require(extra: str, what: str) -> None:
    """Raise a `UserError` with the remedy unless ``what`` has all libraries of ``extra``."""
    for library in LIBRARIES[extra]:
        if not is_installed(library):
            raise UserError(
                f"{what} needs {library}, which is not installed: "
                f"pip install 'eleatt-bench[{extra}]', in a clone -e '.[{extra}]'"
            )


def is_installed(library: str) -> bool:
    """Whether ``library`` can be imported, as far as that is known without importing it."""
    if library in sys.modules:
        return sys.modules[library] is not None
    return find_spec(library) is not None
