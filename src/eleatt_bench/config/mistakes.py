"""Explains failed compositions: the override or the key of a file at fault, and what was meant."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import key_of
from eleatt_bench.common.locations import config_dir, config_dirs, config_files
from eleatt_bench.common.nested import covers
from eleatt_bench.config import schema
from eleatt_bench.config.layers import Layer, layers
from eleatt_bench.config.overrides import check_override
from eleatt_bench.config.setup import hydra_ready


def is_hydras(error: BaseException) -> bool:
    """Whether ``error`` was raised by Hydra or by what it parses and merges with.

    Not all such errors have a type of their own: some are ValueErrors and failed assertions.
    """
    if isinstance(error, HydraException | OmegaConfBaseException | yaml.YAMLError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_in = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    return raised_in.split(".")[0] in {"antlr4", "codecs", "hydra", "omegaconf", "yaml"}


def explain(error: BaseException, overrides: Sequence[str], name: str) -> UserError:
    """The error that explains a failed composition: the override or file at fault, and a remedy."""
    if isinstance(error, UserError):
        return error
    if unreadable := next(filter(None, map(_unreadable, _chain(error))), None):
        return unreadable
    with hydra_ready():
        try:
            for override in overrides:
                check_override(override, name)
        except UserError as found:
            return found
        made_of: list[Layer] = []
        with suppress(Exception):  # `error` is the one to explain, not this one
            made_of = layers(overrides, name)
    return (
        _wrong_key(made_of, name)
        or _unchosen(overrides, made_of, name)
        or _as_hydra_says(error, overrides, made_of)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unreadable(error: BaseException) -> UserError | None:
    """The explanation if ``error`` is of a file that cannot be read as YAML; else None."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else "a file"
        return UserError(f"{where}: this is not YAML: {error.problem or error.context}")
    if isinstance(error, yaml.reader.ReaderError):
        return UserError(f"{error.name}: this is not YAML: {error.reason}")
    if isinstance(error, UnicodeDecodeError):
        return UserError(f"{_not_utf8() or 'A config'} is not UTF-8 text: save it as UTF-8")
    if isinstance(error, RecursionError | MemoryError):
        return UserError("A config or an override is nested too deeply to be read")
    return None


def _not_utf8() -> Path | None:
    for folder in (*config_dirs(), config_dir()):
        for path in config_files(folder):
            try:
                (folder / path).read_bytes().decode()
            except UnicodeDecodeError:
                return folder / path
            except OSError:
                continue
    return None


def _wrong_key(made_of: Sequence[Layer], name: str) -> UserError | None:
    """The error for the first key of a file that is not in the schema."""
    top = schema.SCHEMAS[name]
    for layer in made_of:
        for key in layer.values:
            path = key.split(".")
            for depth, part in enumerate(path):
                names = schema.names_at(top, path[:depth])
                if names is None or path[0] == "hydra":
                    break
                if part not in names:
                    prefix = ".".join([*path[:depth], ""])
                    wrong = unknown("config key", f"{prefix}{part}", [prefix + n for n in names])
                    return UserError(f"{layer.file}: {wrong}")
    return None


def _unchosen(overrides: Sequence[str], made_of: Sequence[Layer], name: str) -> UserError | None:
    """The error for the first setting of an optional section that nothing chooses."""
    top, set_by_files = schema.SCHEMAS[name], {key for layer in made_of for key in layer.values}
    for key in map(key_of, overrides):
        path = key.split(".")
        for depth in range(1, len(path)):
            section = ".".join(path[:depth])
            inner = schema.schema_at(top, path[:depth])
            if inner is None or not schema.is_optional(top, path[:depth]):
                continue
            if not any(key != section and covers(section, key) for key in set_by_files):
                choice = f"{section.replace('.', '=')}" if depth > 1 else f"{section}=NAME"
                return UserError(f"{key} is set, but no {section} is chosen: give {choice} as well")
    return None


def _as_hydra_says(
    error: BaseException, overrides: Sequence[str], made_of: Sequence[Layer]
) -> UserError:
    cause = error.__cause__ or error
    message = str(cause if "not in struct" not in str(cause) else error)
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("reference_type", "object_"))]
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    text = " ".join(line for line in lines if not line.startswith("full_key"))
    text = re.sub(r"In '[^']+': \w+ raised while composing config: ", "", text)
    text = text or f"the overrides do not compose: {' '.join(overrides)}"
    setters = [one.file for one in made_of if key and any(covers(key, k) for k in one.values)]
    typed = any(covers(key_of(override), key) for override in overrides)
    where = f"{setters[-1]}: " if setters and not typed else ""
    return UserError(f"{where}{key}: {text}" if key else text)
