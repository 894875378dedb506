"""Which classes a config may name as ``_target_``: a list, checked before anything is imported."""

from __future__ import annotations

import importlib
from typing import Any

from eleatt_bench.common.errors import UserError

ALLOWED = (
    "eleatt_bench",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
    "pytorch_lightning.strategies",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)


def check_target(target: str) -> None:
    """Refuse a ``_target_`` outside `ALLOWED`; imports nothing.

    Raises:
        UserError: the message names the target and what is allowed.
    """
    if not _allowed(target.rpartition(".")[0]):
        raise UserError(
            f"_target_ {target!r} is refused: a config may only name classes of "
            + ", ".join(ALLOWED)
        )


def resolve_target(target: str) -> type[Any]:
    """The class called ``target``.

    The name alone is no barrier (a module of the list may hold another module's class or
    function), so the class itself must be defined in one of the allowed modules too.

    Raises:
        UserError: it is not allowed, does not exist, or is not a class of an allowed module.
    """
    check_target(target)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"_target_ {target!r} does not exist: {error}") from error
    if not isinstance(found, type) or not _allowed(found.__module__):
        raise UserError(f"_target_ {target!r} is refused: it is not a class of an allowed module")
    return found


def _allowed(module: str) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in ALLOWED)
