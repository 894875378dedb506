"""The user's own folders of configs, checked before Hydra reads them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import config_dir, config_dirs, config_files

_LARGEST = 1 << 20  # bytes of a file
_MOST = 100_000  # values in a file, each alias counted as what it stands for
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_folders() -> None:
    """Refuse missing folders, names that are taken, files that are too large, unquoted times.

    Other faults of a file are reported when it is used: an unused file may be half written.

    Raises:
        UserError: the first such fault, with its folder or file.
    """
    owners = {file: config_dir() for file in config_files(config_dir())} if config_dirs() else {}
    for folder in config_dirs():
        if not folder.is_dir():
            raise UserError(
                f"There is no folder {folder}: give --config-dir (or ELEATT_CONFIGS) the folder "
                "that holds experiment/, table/ or model/"
            )
        for file in config_files(folder):
            if file in owners:
                raise UserError(
                    f"{folder / file} has the name of {owners[file] / file}, so that one of them "
                    "would never be read: rename one"
                )
            owners[file] = folder
            _check_content(folder / file)


# YAML reads 12:00:00 without quotes as 43200, in seconds. SLURM would read that as minutes.
_TIME = re.compile(
    rb"""^[^#\n'"]*\btime(?:[-_]min)?:[ \t]+(\d+(?::\d\d){1,2})[ \t]*(?:[,}#\r]|$)""", re.M
)


def _check_content(path: Path) -> None:
    try:
        content = path.read_bytes() if path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if content is None:
        raise UserError(f"{path} has more than {_LARGEST:,} bytes: that is no config")
    if found := _TIME.search(content):
        line, time = content[: found.start(1)].count(b"\n") + 1, found[1].decode()
        raise UserError(
            f"{path}, line {line}: YAML takes {time} for a number of seconds, and SLURM that for "
            f'minutes. Write it in quotes: "{time}"'
        )
    if b"*" not in content:
        return
    try:
        count = _count(yaml.compose(content.decode(), Loader=_Loader), {})
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return  # reported when the file is used
    if count > _MOST:
        raise UserError(
            f"{path}: its aliases stand for more than {_MOST:,} values: write out what is meant"
        )


def _count(node: yaml.Node | None, known: dict[int, int]) -> int:
    """The number of values in ``node`` when all its aliases are written out."""
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _MOST + 1  # for an alias inside the node that it names
        inner = [part for pair in node.value for part in pair] if isinstance(
            node, yaml.MappingNode
        ) else node.value  # fmt: skip
        known[id(node)] = min(_MOST + 1, 1 + sum(_count(part, known) for part in inner))
    return known[id(node)]
