"""Which value wins: one that was typed, then the experiment's, then those of groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import literal
from eleatt_bench.common.locations import config_dirs
from eleatt_bench.common.nested import covers, leaves, value_at
from eleatt_bench.config.layers import Layer, layers
from eleatt_bench.config.overrides import check_override, parse

_CLASSES = ("optimizer", "scheduler")  # sections with a _target_ and the options of that class


def settle(cfg: DictConfig, overrides: Sequence[str], name: str) -> None:
    """Check that ``cfg``, which ``overrides`` compose, keeps what was typed; Hydra must be ready.

    Options are dropped from ``cfg`` if they were set for another class than the final ``_target_``.

    Raises:
        UserError: a typed choice, such as ``model=wide``, that loses a key to the experiment.
    """
    said = [parse(override) for override in overrides]
    for override in said:
        if override.is_hydra_override():
            check_override(override.input_line or "", name)
    if name != "train":
        return
    typed = [one.key_or_group for one in said if _choice(one) is None]
    _check_lost_keys(cfg, said, typed, overrides)
    if config_dirs() or any(key.endswith("._target_") for key in typed):
        _drop_options(cfg, said, overrides)


def _choice(override: Override) -> str | None:
    """The file that ``override`` chooses, e.g. model/gru; None if it sets a value."""
    repository: Any = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    option = override.value() if not override.is_delete() else None
    path = f"{override.key_or_group}/{option}"
    return path if isinstance(option, str) and repository.config_exists(path) else None


def _check_lost_keys(
    cfg: DictConfig,
    said: Sequence[Override],
    typed: Sequence[str],
    overrides: Sequence[str],
) -> None:
    values: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        cfg, resolve=False, enum_to_str=True
    )
    made_of: list[Layer] = []
    for override in said:
        choice = _choice(override)
        if choice is None or choice.split("/")[0] in {"experiment", "table", "hydra"}:
            continue
        if _is_kept(choice, values, typed):
            continue
        made_of = made_of or layers(overrides, "train")
        lost = list(_lost(choice, made_of, values, typed))
        if lost:
            raise _says_otherwise(override.input_line or choice, lost, values)


def _is_kept(choice: str, values: dict[str, Any], typed: Sequence[str]) -> bool:
    """Whether all values in the file of ``choice`` are kept or typed over; False if in doubt."""
    repository: Any = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]
    loaded = repository.load_config(choice)
    if loaded.header.get("package") is not None or loaded.defaults_list:
        return False
    content = OmegaConf.to_container(loaded.config, resolve=False)
    section = choice.rpartition("/")[0].replace("/", ".")
    return all(
        value_at(values, key) == value or _is_typed(key, typed)
        for key, value in leaves(content, section)
        if value != {}
    )


def _is_typed(key: str, typed: Sequence[str]) -> bool:
    return any(covers(one, key) or covers(key, one) for one in typed)


def _lost(
    choice: str, made_of: Sequence[Layer], values: dict[str, Any], typed: Sequence[str]
) -> Iterator[tuple[str, Any, Layer]]:
    """Key, value and winner of each setting of ``choice`` that a later file sets otherwise."""
    own = [one for one in made_of if choice in (one.name, *one.parents)]
    wishes = {key: value for one in own for key, value in one.values.items() if value != {}}
    for key, value in wishes.items():
        setters = [
            one for one in made_of if any(covers(k, key) or covers(key, k) for k in one.values)
        ]
        if value_at(values, key) != value and setters[-1] not in own and not _is_typed(key, typed):
            yield key, value, setters[-1]


def _says_otherwise(
    text: str, lost: Sequence[tuple[str, Any, Layer]], values: dict[str, Any]
) -> UserError:
    winner = lost[0][2]
    chain = [n for n in (winner.name, *winner.parents) if n.startswith("experiment/")]
    experiment = (chain or [winner.name])[-1]
    told = ", ".join(
        f"{key}={literal(value)} (the experiment: {literal(value_at(values, key))})"
        for key, value, _ in lost
    )
    typed = " ".join(f"{key}={literal(value)}" for key, value, _ in lost)
    return UserError(
        f"{text} says {told}, but {experiment.replace('/', '=', 1)} comes after it and wins: type "
        f"what you want as well, e.g. {typed}"
    )


def _drop_options(cfg: DictConfig, said: Sequence[Override], overrides: Sequence[str]) -> None:
    made_of = layers(overrides, "train")
    for section in _CLASSES:
        own = f"{section}._target_"
        steps = [one.values for one in made_of]
        steps.append(dict(_typed_values(said, section)))
        target, start = None, 0
        for number, values in enumerate(steps):
            if own in values and values[own] != target:
                # A new class inherits no options of earlier files; typed ones always count.
                target, start = values[own], number
        kept = {key for values in (*steps[start:], steps[-1]) for key in values}
        with open_dict(cfg):
            for option in list(cfg[section].options):
                if not any(covers(f"{section}.options.{option}", key) for key in kept):
                    del cfg[section].options[option]
            if "monitor" in cfg[section] and f"{section}.monitor" not in kept and start:
                cfg[section].monitor = None


def _typed_values(said: Sequence[Override], section: str) -> Iterator[tuple[str, Any]]:
    for override in said:
        if covers(section, override.key_or_group) and "." in override.key_or_group:
            yield from leaves(override.value(), override.key_or_group)
