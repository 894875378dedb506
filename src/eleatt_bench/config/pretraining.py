"""The run that another one's recurrent layers come from: a training of its own, done first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer

Config = Mapping[str, Any]

_PLACES = ("accelerator", "devices", "strategy", "num_threads")
_OWN_TRANSFORMS = ("origin",)  # depends on the store: some have been moved there already


@dataclass(frozen=True)
class Pretraining:
    """A pre-training: its configuration, and the overrides that compose it."""

    config: dict[str, Any]
    overrides: tuple[str, ...]


def source_of(config: Config, composer: Composer) -> Pretraining | None:
    """The run whose recurrent layers the run of ``config`` begins with; None where it has none.

    It is the experiment that ``pretraining`` names, with the network, the augmentation and the
    seed of ``config``, on the same devices and in the same folders.

    Raises:
        UserError: no such experiment, or one that would begin with the weights of another.
    """
    name = config["pretraining"]
    if name is None:
        return None
    chosen = (f"experiment={name}", *(["quick=true"] if config["quick"] else []))
    base = composer.config(chosen)
    if base["pretraining"] is not None:
        raise UserError(
            f"pretraining={name}: that experiment begins with weights of {base['pretraining']} "
            "itself; choose one that begins from scratch"
        )
    wanted = deepcopy(base)
    wanted["model"] = deepcopy(config["model"])
    own = {key: base["data"]["transforms"][key] for key in _OWN_TRANSFORMS}
    wanted["data"]["transforms"] = {**deepcopy(config["data"]["transforms"]), **own}
    wanted["trainer"] |= {key: config["trainer"][key] for key in _PLACES}
    wanted |= {key: config[key] for key in ("seed", "data_dir", "runs_dir")}
    said = tuple(f"{key}={_literal(value)}" for key, value in _changes(base, wanted))
    return Pretraining(wanted, (*chosen, *said))


def _changes(base: Config, wanted: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The plain values in which ``wanted`` differs from ``base``, by their dotted keys."""
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base[key], dict):
            yield from _changes(base[key], value, f"{prefix}{key}.")
        elif value != base[key]:
            yield f"{prefix}{key}", value


def _literal(value: Any) -> str:
    """``value`` as Hydra's override grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(_literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_literal(v)}" for key, v in value.items()) + "}"
    if re.fullmatch(r"/?[A-Za-z_][A-Za-z0-9_./-]*", value) and value.lower() not in _WORDS:
        return str(value)
    # Backslashes are doubled where a quotation mark comes after them, the closing one included.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


_WORDS = {"null", "true", "false", "nan", "inf"}  # which Hydra would not take for text
