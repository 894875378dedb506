"""The files that a run writes into its folder: removed by name, and never through a link."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from eleatt_bench.common.files import TEMPORARY

_TEMPORARY = rf"(.+/)?{TEMPORARY.pattern}(/.+)?"
_TRAINING = (
    r"record\.json|config\.yaml|log\.txt|predictions\.h5|epochs\.csv|eval-(best|last)\.json|"
    r"checkpoints(/(best|last|previous)\.ckpt)?|tensorboard(/events\.out\.tfevents\.[^/]+)?|"
    r"loggers(/(ids\.json|epochs\.jsonl|csv(/(metrics\.csv|hparams\.yaml))?))?|"
    r"profiler(/(fit|predict)-[^/]+\.(txt|json))?"
)
_ATTENTION = r"attention(/layer\d+(/[^/]+\.(png|pdf|gif|mp4|csv|h5))?)?"

TRAINING = re.compile(f"{_TRAINING}|{_TEMPORARY}|{_ATTENTION}")
"""Paths in a run's folder that training makes, or that show the weights that it made."""

EVERY = re.compile(rf"{TRAINING.pattern}|\.lock")
"""Paths in a run's folder that any command makes."""


def contents(folder: Path, names: re.Pattern[str]) -> tuple[list[Path], list[Path]]:
    """The files and links below ``folder``: those whose paths match ``names``, and the others.

    Links are not followed.
    """
    named: list[Path] = []
    others: list[Path] = []
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for path in (Path(here, name) for name in (*links, *files)):
            fits = names.fullmatch(path.relative_to(folder).as_posix())
            (named if fits else others).append(path)
    return named, others


def remove(paths: Iterable[Path], folder: Path) -> list[str]:
    """Remove ``paths``, which are files and links below ``folder``, and then empty folders.

    Returns a sentence for each link, because what it led to stays.
    """
    said = []
    for path in paths:
        if path.is_symlink():
            said.append(left_behind(path))
        path.unlink(missing_ok=True)
    for here, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it is not empty
            Path(here).rmdir()
    return said


def left_behind(link: Path) -> str:
    """The sentence about a link that is removed."""
    return f"{link} was a link; what it leads to, {link.readlink()}, stays as it is"
