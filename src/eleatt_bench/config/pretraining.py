"""The run from which another one takes its recurrent layers: a training of its own, done first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import literal
from eleatt_bench.config.composer import Composer

Config = Mapping[str, Any]

_OWN_TRANSFORMS = ("origin",)  # depends on the store: in some stores it is applied already


@dataclass(frozen=True)
class Pretraining:
    """A pre-training: its configuration, and the overrides that compose it."""

    config: dict[str, Any]
    overrides: tuple[str, ...]


def source_of(
    config: Config, composer: Composer, is_place: Callable[[str], bool]
) -> Pretraining | None:
    """The pre-training whose recurrent layers the run of ``config`` begins with; None: it has none.

    It is the experiment that ``pretraining`` names, with the network, augmentation, seed, loggers
    and folders of ``config``. If the data set is the same, so are the fold and what draws the
    validation samples: in the same protocol, it then learns from nothing that this run tests or
    validates on. Settings of the trainer for which ``is_place`` is true say where a run is
    computed; they are those of ``config`` too.

    Raises:
        UserError: there is no such experiment, or it begins with the weights of another one.
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
    if config["data"]["name"] == base["data"]["name"]:
        wanted["data"] |= {key: config["data"][key] for key in ("fold", "val_seed", "val_fraction")}
    wanted["data"]["transforms"] = {**deepcopy(config["data"]["transforms"]), **own}
    wanted["trainer"] |= {
        key: config["trainer"][key] for key in config["trainer"] if is_place(f"trainer.{key}")
    }
    wanted |= {key: config[key] for key in ("data_dir", "runs_dir", "logger")}
    said = (f"{key}={literal(value)}" for key, value in _changes(base, wanted))
    overrides = (*chosen, *said)
    return Pretraining(composer.config(overrides), overrides)


def _names(config: Config) -> list[str]:
    """The names of the chosen loggers: those that have a section, or are true."""
    return [name for name, chosen in config["logger"].items() if chosen]


def _changes(base: Config, wanted: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in which ``wanted`` differs from ``base``, by their dotted keys."""
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base[key], dict):
            yield from _changes(base[key], value, f"{prefix}{key}.")
        elif value != base[key]:
            yield f"{prefix}{key}", value
