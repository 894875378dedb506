"""Many configurations at little cost, as tables and sweeps need them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from eleatt_bench.config_cache import ConfigCache

if TYPE_CHECKING:
    from omegaconf import DictConfig

_NUMBERED = re.compile(r"(?P<key>seed|data\.fold)=(?P<value>[0-9]{1,9})")
"""What the runs of one cell differ by: whole numbers that no other setting depends on."""


class Composer:
    """Composes as `composition.compose_config`, but each choice of groups only once.

    Hydra applies ``KEY=VALUE`` after everything else, so a value may as well be set on a copy of
    what was composed without it: milliseconds instead of seventy of them. Seeds and folds, of which
    a table has hundreds, are set on the plain result.

    As a context it sets Hydra up once, when that is first needed, and takes from
    `ConfigCache` what it can: if that is all, Hydra is not even imported.
    """

    def __init__(self, name: str = "train") -> None:
        self._name = name
        self._groups: frozenset[str] | None = None
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._plain: dict[tuple[str, ...], bytes] = {}
        self._stack: ExitStack | None = None  # in a context
        self._kept: ConfigCache | None = None

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._kept = self._stack.enter_context(ConfigCache())
        return self

    def __exit__(self, *raised: object) -> None:
        assert self._stack is not None
        self._stack.close()
        self._stack, self._kept = None, None

    def config(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The checked configuration that ``overrides`` compose, as plain values.

        Raises:
            UserError: an override that does not apply, with the nearest match and the choices.
        """
        numbered = [_NUMBERED.fullmatch(override) for override in overrides]
        said = tuple(o for o, match in zip(overrides, numbered, strict=True) if match is None)
        if said not in self._plain:
            self._plain[said] = pickle.dumps(self._compose(said), pickle.HIGHEST_PROTOCOL)
        config: dict[str, Any] = pickle.loads(self._plain[said])  # ten times as fast as deepcopy
        for match in filter(None, numbered):
            section = config["data"] if match["key"] == "data.fold" else config
            section[match["key"].rpartition(".")[2]] = int(match["value"])
        return config

    def options(self, group: str) -> list[str]:
        """The names that ``group=...`` accepts, as `composition.options`."""

        def look() -> list[str]:
            from eleatt_bench.composition import options

            return options(group)

        found: list[str] = self._kept_or_found(["options of", group], look)
        return found

    def _compose(self, said: tuple[str, ...]) -> Any:
        def compose() -> Any:
            from eleatt_bench import config as schema

            cfg = self._with_values(said)
            schema.shrink(cfg)
            schema.check(cfg, self._name)
            return schema.plain(cfg)

        return self._kept_or_found([self._name, *said], compose)

    def _kept_or_found(self, question: Sequence[str], find: Callable[[], Any]) -> Any:
        def find_with_hydra() -> Any:
            if self._stack is not None:
                from eleatt_bench.composition import hydra_ready

                self._stack.enter_context(hydra_ready())  # nothing, from the second time on
            return find()

        return find() if self._kept is None else self._kept.find(question, find_with_hydra)

    def _with_values(self, overrides: tuple[str, ...]) -> DictConfig:
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from omegaconf import OmegaConf

        from eleatt_bench.composition import compose_config, groups

        if self._groups is None:
            self._groups = frozenset(groups())
        values = [o for o in overrides if o.partition("=")[0] not in self._groups]
        if not all(re.match(r"[a-z_]", value) for value in values):  # +KEY, ~KEY: Hydra's to do
            return compose_config(overrides, self._name)
        chosen = tuple(o for o in overrides if o not in values)
        try:
            if chosen not in self._composed:
                self._composed[chosen] = compose_config(chosen, self._name)
            cfg = deepcopy(self._composed[chosen])
            for override in OverridesParser.create().parse_overrides(values):
                if override.is_sweep_override():
                    return compose_config(overrides, self._name)
                OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
        except Exception:  # a mistake, or a value that has no default; Hydra's own way tells which
            return compose_config(overrides, self._name)
        return cfg
