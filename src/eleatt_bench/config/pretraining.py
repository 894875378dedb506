"""The run that another one's recurrent layers come from: a training of its own, done first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.literal import literal

Config = Mapping[str, Any]

_OWN_TRANSFORMS = ("origin",)  # depends on the store: some have been moved there already


@dataclass(frozen=True)
class Pretraining:
    """A pre-training: its configuration, and the overrides that compose it."""

    config: dict[str, Any]
    overrides: tuple[str, ...]


def source_of(
    config: Config, composer: Composer, is_place: Callable[[str], bool]
) -> Pretraining | None:
    """The run whose recurrent layers the run of ``config`` begins with; None where it has none.

    It is the experiment that ``pretraining`` names, with the network, the augmentation and the
    seed of ``config``, and of the same data set its fold, in the same folders. ``is_place`` tells
    of a setting whether it says where a run is computed: those are this run's too.

    Raises:
        UserError: no such experiment, or one that would begin with the weights of another.
    """
    name = config["pretraining"]
    if name is None:
        return None
    quickly = ["quick=true"] if config["quick"] else []
    chosen = (f"experiment={name}", *quickly, f"seed={config['seed']}")
    base = composer.config(chosen)
    if _names(config) != _names(base):
        chosen = (*chosen, f"logger={literal(_names(config))}")
        base = composer.config(chosen)
    if base["pretraining"] is not None:
        raise UserError(
            f"pretraining={name}: that experiment begins with weights of {base['pretraining']} "
            "itself; choose one that begins from scratch"
        )
    wanted = deepcopy(base)
    wanted["model"] = deepcopy(config["model"])
    own = {key: base["data"]["transforms"][key] for key in _OWN_TRANSFORMS}
    if config["data"]["name"] == base["data"]["name"]:  # or it would learn from what this run tests
        wanted["data"]["fold"] = config["data"]["fold"]
    wanted["data"]["transforms"] = {**deepcopy(config["data"]["transforms"]), **own}
    wanted["trainer"] |= {
        key: config["trainer"][key] for key in config["trainer"] if is_place(f"trainer.{key}")
    }
    wanted |= {key: config[key] for key in ("data_dir", "runs_dir", "logger")}
    said = (f"{key}={literal(value)}" for key, value in _changes(base, wanted))
    overrides = (*chosen, *said)
    return Pretraining(composer.config(overrides), overrides)


def _names(config: Config) -> list[str]:
    """The loggers that are chosen: a section with keys of its own is there, or a plain one true."""
    return [name for name, chosen in config["logger"].items() if chosen]


def _changes(base: Config, wanted: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in which ``wanted`` differs from ``base``, by their dotted keys."""
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base[key], dict):
            yield from _changes(base[key], value, f"{prefix}{key}.")
        elif value != base[key]:
            yield f"{prefix}{key}", value
