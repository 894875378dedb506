"""The files that a configuration is made of, in the order in which Hydra merges them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from eleatt_bench.common.nested import leaves


@dataclass(frozen=True)
class Layer:
    """What one file sets: ``values`` by dotted keys, references unresolved, lists whole."""

    name: str  # its path below configs/, such as experiment/nucla
    parents: tuple[str, ...]  # the files that name it in their defaults, the nearest first
    file: str
    values: dict[str, Any]


def layers(overrides: Sequence[str], name: str) -> list[Layer]:
    """The files that ``overrides`` compose, without Hydra's own and the schema; later ones win.

    Hydra must be ready. Its errors for files that it cannot read are not caught.
    """
    loader: Any = GlobalHydra.instance().config_loader()
    listed = loader.compute_defaults_list(name, list(overrides), RunMode.RUN).defaults
    parent_of = {one.config_path: one.parent for one in listed if not one.is_self}
    found = []
    for one in listed:
        loaded = loader.repository.load_config(one.config_path)
        if loaded is None or loaded.provider in {"hydra", "schema"} or _is_structured(loaded):
            continue
        content = OmegaConf.to_container(loaded.config, resolve=False)
        file = f"{str(loaded.path).removeprefix('file://')}/{one.config_path}.yaml"
        values = dict(leaves(content, one.package or ""))
        found.append(Layer(one.config_path, tuple(_up(one.config_path, parent_of)), file, values))
    return found


def _is_structured(loaded: Any) -> bool:
    return str(loaded.path).startswith("structured://")


def _up(path: str, parent_of: dict[str, str]) -> Iterator[str]:
    seen = {path}
    while (above := parent_of.get(path)) is not None and above not in seen:
        yield above
        seen.add(above)
        path = above
