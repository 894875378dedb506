"""Where code, configs, caches, data and runs lie, unless a setting says otherwise."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
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


def config_dirs() -> list[Path]:
    """The user's own folders of configs: ``ELEATT_CONFIGS``, which ``--config-dir`` adds to."""
    named = os.environ.get("ELEATT_CONFIGS", "").split(os.pathsep)
    return list(dict.fromkeys(folder_at(name).absolute() for name in named if name.strip()))


def add_config_dir(folder: str) -> None:
    """Let this process, and those that it starts, look for configs in ``folder`` as well."""
    folders = [*config_dirs(), folder_at(folder).absolute()]
    os.environ["ELEATT_CONFIGS"] = os.pathsep.join(map(str, dict.fromkeys(folders)))


def config_flags() -> list[str]:
    """The arguments with which another command line finds the user's own configs."""
    return [word for folder in config_dirs() for word in ("--config-dir", str(folder))]


def command(*words: str) -> str:
    """A command line of this program that can be pasted; it finds the same configs as this one."""
    return shlex.join(["eleatt-bench", *words[:1], *config_flags(), *words[1:]])


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/eleatt-bench``, by default ``~/.cache/eleatt-bench``.

    A user without a home folder gets a folder among the temporary files.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "eleatt-bench"
    except RuntimeError:  # no $HOME, and a user whom the system does not know
        return Path(tempfile.gettempdir()) / f"eleatt-bench-{os.getuid()}"


def config_files(folder: Path) -> list[Path]:
    """The configs in ``folder``, relative to it, without hidden ones such as an editor's locks.

    Links are followed, as Hydra does.
    """
    return sorted(path.relative_to(folder) for path in _configs(folder, frozenset()))


def _configs(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a circle of links
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path):  # noqa: PTH112  (a link to itself is none, and no error)
                yield from _configs(Path(entry.path), above | {real})
            elif entry.name.endswith(".yaml"):
                yield Path(entry.path)


FOLDERS = ("data_dir", "runs_dir")
"""The settings of where data and runs lie; only these may name environment variables."""


def data_dir() -> Path:
    """Where data sets lie: ``ELEATT_DATA``, or ``data`` in the working folder."""
    return folder_at(os.environ.get("ELEATT_DATA") or "data")


def runs_dir() -> Path:
    """Where runs lie: ``ELEATT_RUNS``, or ``runs`` in the working folder."""
    return folder_at(os.environ.get("ELEATT_RUNS") or "runs")


def folder_at(text: str) -> Path:
    """The folder that ``text`` names; a leading ``~`` is the home folder.

    Raises:
        UserError: ``text`` is empty, or no user has the name after ``~``.
    """
    if not text.strip():
        raise UserError("A folder's name is empty: name one, or leave the setting out")
    if not text.startswith("~"):
        return Path(text)  # a Path drops the ./ of ./~x
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(
            f"{text}: there is no home folder {Path(text).parts[0]}. For a folder of this name "
            f"write ./{text}"
        ) from None


def settle_folders() -> None:
    """Expand ``~`` in ELEATT_RUNS and ELEATT_DATA of this process, for itself and its jobs.

    No shell expands a ``~`` in a variable of a service or a container. An empty variable counts as
    unset, and is removed.

    Raises:
        UserError: no user has the name after ``~``.
    """
    for name in ("ELEATT_RUNS", "ELEATT_DATA"):
        text = os.environ.pop(name, "")
        if text.strip():
            os.environ[name] = str(folder_at(text))
