"""Hydra in one place: how configs are composed, and what went wrong in words."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.locations import config_dir
from eleatt_bench.config import schema as config

VERSION_BASE = "1.3"


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Hydra set up on `config_dir`; inside a Hydra program, the one that runs is used."""
    if GlobalHydra.instance().is_initialized():
        yield
        return
    config.register()
    with initialize_config_dir(str(config_dir()), version_base=VERSION_BASE):
        yield


def compose_config(overrides: Sequence[str], name: str = "train") -> DictConfig:
    """The checked configuration that ``overrides`` compose.

    Raises:
        UserError: an override that does not apply, with the nearest match and the choices.
    """
    with hydra_ready():
        try:
            cfg = compose(config_name=name, overrides=list(overrides))
        except Exception as error:  # nothing but Hydra and OmegaConf runs in there
            raise explain(error, overrides, name) from error
    config.shrink(cfg)
    config.check(cfg, name)
    return cfg


def options(group: str) -> list[str]:
    """The names that ``group=...`` accepts, e.g. ``options("table")``."""
    with hydra_ready():
        loader = GlobalHydra.instance().config_loader()
        return [str(o) for o in loader.get_group_options(group, ObjectType.CONFIG)]


def groups() -> list[str]:
    """The config groups at the top of ``configs/``."""
    with hydra_ready():
        loader = GlobalHydra.instance().config_loader()
        found = loader.get_group_options("", ObjectType.GROUP)
    return [g for g in found if g != "hydra"]


def is_hydras(error: BaseException) -> bool:
    """Whether ``error`` was raised by Hydra or by what it parses and merges with.

    Not all of them have a type of their own: some are ValueErrors and failed assertions.
    """
    if isinstance(error, HydraException | OmegaConfBaseException):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_in = str(frames[-1].f_globals.get("__name__", "")) if frames else ""
    return raised_in.split(".")[0] in {"antlr4", "hydra", "omegaconf"}


def explain(error: Exception, overrides: Sequence[str], name: str = "train") -> UserError:
    """Say what a failed composition means: the override at fault and what it may have meant."""
    try:
        for override in overrides:
            check_override(override, name)
    except UserError as found:
        return found
    cause = error.__cause__ or error
    message = str(cause if "not in struct" not in str(cause) else error)
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("reference_type", "object_"))]
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    text = " ".join(line for line in lines if not line.startswith("full_key"))
    text = text or f"the overrides do not compose: {' '.join(overrides)}"
    return UserError(f"{key}: {text}" if key else text)


_OVERRIDE = re.compile(r"^(?P<sign>\+\+|\+|~)?(?P<key>[^=]+?)(?P<value>=.*)?$", re.DOTALL)


def check_override(override: str, name: str = "train") -> None:
    """Refuse a config key or group option that does not exist; values are Hydra's to check.

    Raises:
        UserError: with the nearest match and the choices.
    """
    match = _OVERRIDE.match(override)
    if match is None or (match["value"] is None and match["sign"] != "~"):
        raise UserError(f"{override!r} is not an override: write KEY=VALUE")
    key, value = match["key"].split("@")[0], (match["value"] or "=")[1:]
    known = groups()
    if key in known:
        if match["value"] is not None:  # ~GROUP takes it out, whatever it is
            _check_options(key, value)
    elif re.split(r"[./]", key)[0] != "hydra":
        _check_key(key, name, known)
        _check_section(key, value, name)


def _check_options(group: str, value: str) -> None:
    if "(" in value:  # choice(...), glob(...): Hydra's to expand
        return
    choices = options(group) + (["null"] if group in {"experiment", "table"} else [])
    for option in value.split(","):
        if option not in choices:
            raise unknown(f"option of {group}", option, choices)


def _check_key(key: str, name: str, known: list[str]) -> None:
    path = key.split(".")
    for depth, part in enumerate(path):
        inner = config.schema_at(config.SCHEMAS[name], path[:depth])
        if inner is None:
            return
        names = [f.name for f in fields(inner)]
        if part not in names:
            prefix = ".".join([*path[:depth], ""])
            choices = [f"{prefix}{n}" for n in names] + (known if depth == 0 else [])
            raise unknown("config key", f"{prefix}{part}", {*choices})


def _check_section(key: str, value: str, name: str) -> None:
    """Refuse a plain value for what has keys of its own."""
    section = config.schema_at(config.SCHEMAS[name], key.split("."))
    if section is None or not value or value[0] in "{$" or "(" in value:
        return
    names = ", ".join(f"{key}.{f.name}" for f in fields(section))
    raise UserError(f"{key} is no single value: set {names}, or some of these")
