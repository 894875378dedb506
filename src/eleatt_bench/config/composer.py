"""Many configurations at little cost, as tables and sweeps need them."""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.common.locations import config_dir, package_code

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
            from eleatt_bench.config.compose import options

            return options(group)

        found: list[str] = self._kept_or_found(["options of", group], look)
        return found

    def _compose(self, said: tuple[str, ...]) -> Any:
        def compose() -> Any:
            from eleatt_bench.config import schema

            cfg = self._with_values(said)
            schema.shrink(cfg)
            schema.check(cfg, self._name)
            return schema.plain(cfg)

        return self._kept_or_found([self._name, *said], compose)

    def _kept_or_found(self, question: Sequence[str], find: Callable[[], Any]) -> Any:
        def find_with_hydra() -> Any:
            if self._stack is not None:
                from eleatt_bench.config.compose import hydra_ready

                self._stack.enter_context(hydra_ready())  # nothing, from the second time on
            return find()

        return find() if self._kept is None else self._kept.find(question, find_with_hydra)

    def _with_values(self, overrides: tuple[str, ...]) -> DictConfig:
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from omegaconf import OmegaConf

        from eleatt_bench.config.compose import compose_config, groups

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


_MOST = 500  # of some kilobytes each; all tables of the paper take 70
_LIBRARIES = {"hydra": "__init__.py", "omegaconf": "version.py", "yaml": "__init__.py"}
"""Where each says its version: `importlib.metadata` would take as long as all the rest."""
_VARIABLE = re.compile(r"oc\.env:\s*(\w+)")
_ANYTHING = re.compile(r"\$\{|^\W*hydra\b")  # interpolations, and where Hydra is to look


class ConfigCache:
    """Answers of Hydra's, which follow from a question, the configs and the code that reads them.

    As a context; what was found is kept at its end. In a Hydra program that looks for configs in
    other folders as well, and for overrides that may depend on anything, nothing is taken from
    before and nothing kept.
    """

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._variables: dict[str, str | None] = {}
        if _looks_elsewhere():
            return
        configs = sorted(config_dir().rglob("*.yaml"))
        named = {name for path in configs for name in _VARIABLE.findall(path.read_text("utf-8"))}
        self._variables = {name: os.environ.get(name) for name in sorted(named)}
        code = package_code("common", "config")
        mark = fingerprint([*configs, *code, *_versions()], sys.version)
        self._cache = Cache("configs", mark, _MOST)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._cache is not None:
            self._cache.write()

    def find(self, question: Sequence[str], find: Callable[[], Any]) -> Any:
        """The answer that was kept, or else that of ``find``."""
        if self._cache is None or any(map(_ANYTHING.search, question)):
            return find()
        return self._cache.find([*question, self._variables], find)


def _versions() -> Iterator[Path]:
    """The files that say which versions of the libraries compose."""
    for name, file in _LIBRARIES.items():
        found = find_spec(name)
        assert found is not None  # they are required
        assert found.origin is not None
        yield Path(found.origin).with_name(file)


def _looks_elsewhere() -> bool:
    """Whether a Hydra program runs that was given more than `config_dir`."""
    if "hydra" not in sys.modules:
        return False
    return set(_search_path()) != {str(config_dir())}


def _search_path() -> Iterator[str]:
    """Where the running Hydra program looks for configs, but for Hydra's own."""
    from hydra.core.global_hydra import GlobalHydra

    if not GlobalHydra.instance().is_initialized():
        yield str(config_dir())
        return
    for element in GlobalHydra.instance().config_loader().get_search_path().get_path():
        if element.provider not in {"hydra", "schema"}:
            yield element.path.removeprefix("file://")
