"""Hydra, set up for the folders of configs, and the choices in these folders."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType

from eleatt_bench.common.locations import config_dir
from eleatt_bench.config import schema
from eleatt_bench.config.folders import check_folders

VERSION_BASE = "1.3"


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Set Hydra up for the folders of configs; inside a Hydra program, use the one that runs.

    Raises:
        UserError: a folder of the user's own cannot be used.
    """
    if GlobalHydra.instance().is_initialized():
        yield
        return
    check_folders()
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base=VERSION_BASE):
        yield


@contextmanager
def unread_help() -> Iterator[None]:
    """Let Hydra build its parser on Python 3.14, which reads the help of each argument at once.

    One of Hydra's arguments has no help text until it is shown, so every released Hydra fails.
    """
    check = getattr(ArgumentParser, "_check_help", None)
    if check is None:
        yield
        return
    ArgumentParser._check_help = lambda self, action: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        ArgumentParser._check_help = check  # type: ignore[attr-defined]


def options(group: str) -> list[str]:
    """The names that ``group=...`` accepts, e.g. ``options("table")``."""
    with hydra_ready():
        loader = GlobalHydra.instance().config_loader()
        return [str(o) for o in loader.get_group_options(group, ObjectType.CONFIG)]


def groups() -> list[str]:
    """The config groups at the top of ``configs/`` and of the user's own folders."""
    with hydra_ready():
        loader = GlobalHydra.instance().config_loader()
        found = loader.get_group_options("", ObjectType.GROUP)
    return [g for g in found if g != "hydra"]
