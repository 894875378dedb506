"""The configuration that overrides compose: what Hydra makes of them, settled and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.locations import FOLDERS
from eleatt_bench.common.nested import scalars
from eleatt_bench.config import schema
from eleatt_bench.config.checks import QUICK, check_values
from eleatt_bench.config.mistakes import explain
from eleatt_bench.config.precedence import settle
from eleatt_bench.config.setup import hydra_ready


def compose_config(overrides: Sequence[str], name: str = "train") -> dict[str, Any]:
    """The checked configuration that ``overrides`` compose, as plain values.

    The program composes with `config.composer.Composer`, which is quicker; tests hold that against
    this plain way.

    Raises:
        UserError: an override that does not apply, with the nearest match and the choices; a typed
            choice that would lose a value to the experiment; a file that is no config.
    """
    return checked(settled(overrides, name), name)


def composed(overrides: Sequence[str], name: str) -> DictConfig:
    """What Hydra composes of ``overrides``, references unresolved; raises as `compose_config`."""
    with hydra_ready():
        try:
            return compose(config_name=name, overrides=list(overrides))
        except Exception as error:  # nothing but Hydra, OmegaConf and YAML runs in there
            raise explain(error, overrides, name) from error


def settled(overrides: Sequence[str], name: str, cfg: DictConfig | None = None) -> DictConfig:
    """``cfg``, by default `composed`, after `settle`; raises as `compose_config`."""
    with hydra_ready():
        cfg = composed(overrides, name) if cfg is None else cfg
        settle(cfg, overrides, name)
    return cfg


def checked(cfg: DictConfig, name: str = "train", *, begun: bool = False) -> dict[str, Any]:
    """``cfg`` resolved to dicts, lists, numbers and strings (choices by their names), and checked.

    ``quick=true`` makes the run one of seconds, which changes ``cfg``. ``name`` is the name of the
    schema. A run that has ``begun`` may have settings with which no new run can begin.

    Raises:
        UserError: a key outside the schema (``+typo=1``) or taken out of it (``~seed``), a
            mandatory value that nothing sets, a reference to nothing (``${typo}``) or to the
            environment, or a value that makes no sense.
    """
    try:
        _check_references(cfg)
        _shrink(cfg)
        _check_keys(cfg, schema.SCHEMAS[name], "")
        missing = sorted(OmegaConf.missing_keys(cfg))
        if missing:
            raise UserError(f"Nothing sets {missing[0]!r}: give it as {missing[0]}=VALUE")
        config: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
            cfg, resolve=True, throw_on_missing=True, enum_to_str=True
        )
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    check_values(config, name, begun=begun)
    return config


def config_of_run(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The checked configuration of a run that has begun, from the part that was ``kept``.

    Settings that are newer than the run get their defaults. So do settings of the launcher and the
    loggers that ``kept`` leaves out.

    Raises:
        UserError, OmegaConfBaseException: as `checked`; a key or value that is not in the schema.
    """
    usual = {"launcher": {"name": "local"}}
    merged = OmegaConf.merge(OmegaConf.structured(schema.TrainConfig), usual, kept)
    assert isinstance(merged, DictConfig)
    return checked(merged, begun=True)


def _shrink(cfg: DictConfig) -> None:
    if not OmegaConf.select(cfg, "quick"):
        return
    for key, most in QUICK.items():
        value = OmegaConf.select(cfg, key)
        if value is None or value > most:
            OmegaConf.update(cfg, key, most)


def _check_keys(cfg: DictConfig, section: type, prefix: str) -> None:
    names = {f.name for f in fields(section)}
    keys = [str(key) for key in cfg]
    absent = sorted(names.difference(keys))
    if absent:
        key = f"{prefix}{absent[0]}"
        raise UserError(f"{key!r} is taken out of the configuration; it must stay: {key}=VALUE")
    for key in keys:
        if key not in names:
            raise unknown("config key", f"{prefix}{key}", [f"{prefix}{n}" for n in names])
        inner = schema.schema_at(section, [key])
        if inner is not None and not OmegaConf.is_missing(cfg, key) and cfg[key] is not None:
            _check_keys(cfg[key], inner, f"{prefix}{key}.")


def _check_references(cfg: DictConfig) -> None:
    """Refuse environment variables outside `FOLDERS`: a run's files would hold their values."""
    for key, value in scalars(OmegaConf.to_container(cfg, resolve=False)):
        if isinstance(value, str) and "oc.env" in value and "${" in value and key not in FOLDERS:
            raise UserError(
                f"{key} is {value}: only {' and '.join(FOLDERS)} may name environment variables, "
                "because the values of all settings are written into the files of a run. Give "
                f"the value itself: {key}=VALUE"
            )
