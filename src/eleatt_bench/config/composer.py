"""Many configurations at little cost, as tables and sweeps need them."""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from eleatt_bench.common.cache import Cache, fingerprint, version_files
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.literal import key_of
from eleatt_bench.common.locations import config_dir, config_dirs, config_files, package_code
from eleatt_bench.common.nested import scalars
from eleatt_bench.config.checks import QUICK, check_values

if TYPE_CHECKING:
    from omegaconf import DictConfig

NUMBERS = ("seed", "data.fold")
"""The settings in which the runs of one cell differ."""

_NUMBERED = re.compile(rf"(?P<key>{'|'.join(map(re.escape, NUMBERS))})=(?P<value>0|[1-9]\d{{0,8}})")


_NUMBERS_END = 10**9
_ANY_SEED = {"data.val_seed"}
"""Settings that accept every seed, so that none needs a check."""


class Composer:
    """Composes as `compose.compose_config` does, but each choice of groups only once.

    Hydra applies ``KEY=VALUE`` after everything else. So a value can be set on a copy of what was
    composed without it, which takes a few milliseconds instead of seventy. A table has hundreds of
    seeds and folds; they are set on the plain result, together with settings that refer to them.

    As a context manager it sets Hydra up once, when Hydra is first needed, and takes answers from
    `ConfigCache`. If the cache has all of them, Hydra is not even imported.
    """

    def __init__(self, name: str = "train") -> None:
        self._name = name
        self._groups: frozenset[str] | None = None
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._plain: dict[tuple[str, ...], bytes] = {}
        self._stack: ExitStack | None = None  # None outside a context
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
        said, numbers = _apart(overrides)
        one = (*said, *(f"{key}={numbers[key]}" for key in NUMBERS if key in numbers))
        try:
            config, followers = self._shared(said)
        except UserError:  # it may be valid with these numbers
            return self._shared(one)[0]
        if followers is None and numbers:
            return self._shared(one)[0]
        for key, number in numbers.items():
            _set(config, key, number)
        for key, number_key in (followers or {}).items():
            if number_key in numbers:
                _set(config, key, numbers[number_key])
        if numbers and followers:
            check_values(config, self._name)
        return config

    def typed(self, overrides: Sequence[str]) -> dict[str, Any]:
        """As `config`, but first checks each of ``overrides`` by itself: a person typed it."""
        said = [o for o in overrides if self._name != "train" or not _NUMBERED.fullmatch(o)]

        def check() -> bool:
            from eleatt_bench.config.overrides import check_override

            for override in said:
                check_override(override, self._name)
            return True

        self._kept_or_found([f"overrides of {self._name}", *said], check)
        return self.config(overrides)

    def seed_keys(self, overrides: Sequence[str], seeds: Iterable[int]) -> tuple[str, ...] | None:
        """The settings that equal the seed, for all ``seeds``, in what ``overrides`` compose.

        None if any other setting depends on the seed, so that each seed must be composed by itself.
        """
        if not all(0 <= seed < _NUMBERS_END for seed in seeds):
            return None
        try:
            followers = self._shared(_apart(overrides)[0])[1]
        except UserError:  # it may be valid with these numbers
            return None
        if followers is None:
            return None
        keys = {key for key, number in followers.items() if number == "seed"}
        return ("seed", *sorted(keys)) if keys <= _ANY_SEED else None

    def options(self, group: str) -> list[str]:
        """The names that ``group=...`` accepts, as `setup.options`."""

        def look() -> list[str]:
            from eleatt_bench.config.setup import options

            return options(group)

        found: list[str] = self._kept_or_found(["options of", group], look)
        return found

    def _shared(self, said: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str] | None]:
        """A new copy of the configuration of ``said``, and its `_followers`."""
        if said not in self._plain:
            found = self._kept_or_found([self._name, *said], lambda: self._compose(said))
            self._plain[said] = pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
        config, followers = pickle.loads(self._plain[said])  # ten times as fast as deepcopy
        return config, followers

    def _compose(self, said: tuple[str, ...]) -> list[Any]:
        from eleatt_bench.config.compose import checked

        cfg = self._with_values(said)
        raw = deepcopy(cfg)
        return [checked(cfg, self._name), _followers(raw)]

    def _kept_or_found(self, question: Sequence[str], find: Callable[[], Any]) -> Any:
        def find_with_hydra() -> Any:
            if self._stack is not None:
                from eleatt_bench.config.setup import hydra_ready

                self._stack.enter_context(hydra_ready())  # does nothing from the second time on
            return find()

        return find() if self._kept is None else self._kept.find(question, find_with_hydra)

    def _with_values(self, overrides: tuple[str, ...]) -> DictConfig:
        from omegaconf import OmegaConf

        from eleatt_bench.config.compose import composed, settled
        from eleatt_bench.config.overrides import parse
        from eleatt_bench.config.setup import groups

        if self._groups is None:
            self._groups = frozenset(groups())
        values = [o for o in overrides if o.partition("=")[0] not in self._groups]
        if not all(re.match(r"[a-z_]", value) for value in values):  # +KEY, ~KEY: left to Hydra
            return settled(overrides, self._name)
        chosen = tuple(o for o in overrides if o not in values)
        try:
            if chosen not in self._composed:
                self._composed[chosen] = composed(chosen, self._name)
            cfg = deepcopy(self._composed[chosen])
            for override in map(parse, values):
                if override.is_sweep_override():
                    return settled(overrides, self._name)
                OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
        except Exception:  # a mistake, or a key without a default; Hydra itself tells which
            return settled(overrides, self._name)
        return settled(overrides, self._name, cfg)


def _apart(overrides: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The overrides without those that set one of `NUMBERS` last, and the numbers that these set.

    If a later override may set a number again, by itself or with its section, the number stays
    among the overrides, where Hydra sees the order.
    """
    said, numbers = list[str](), dict[str, int]()
    later = set[str]()  # the keys of the later overrides that stay
    for override in reversed(overrides):
        match = _NUMBERED.fullmatch(override)
        if match is None or any(f"{match['key']}.".startswith(f"{name}.") for name in later):
            said.insert(0, override)
            later.add(key_of(override))
        else:
            numbers.setdefault(match["key"], int(match["value"]))
    return tuple(said), numbers


def _set(config: dict[str, Any], key: str, value: int) -> None:
    *sections, last = key.split(".")
    for section in sections:
        config = config[section]
    config[last] = value


def _followers(cfg: DictConfig) -> dict[str, str] | None:
    """The key of a number for each setting that equals one of `NUMBERS`, whatever its value.

    None if a setting depends on a number in another way, so that each number must be composed by
    itself. ``cfg`` must be unresolved, and is changed: its numbers are replaced by resolvers that
    note when they are asked.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    raw = scalars(OmegaConf.to_container(cfg, resolve=False))
    referring = [key for key, value in raw if isinstance(value, str) and "${" in value]
    if any(key in NUMBERS for key in referring):
        return None
    asked: set[str] = set()
    probes = {key: 0 for key in NUMBERS if OmegaConf.select(cfg, key) is not None}

    def answer(key: str) -> int:
        asked.add(key)
        return probes[key]

    OmegaConf.register_new_resolver("eleatt.number", answer, replace=True)
    for key in probes:
        OmegaConf.update(cfg, key, f"${{eleatt.number:{key}}}")
    found: dict[str, str] = {}
    for key in referring:
        for first in (123_456_789, 987_654_321):
            asked.clear()
            probes.update({number: first + place for place, number in enumerate(probes)})
            try:
                value = OmegaConf.select(cfg, key)
            except OmegaConfBaseException:
                return None
            if not asked:
                continue
            (number, *others) = sorted(asked)
            if others or type(value) is not int or value != probes[number]:
                return None
            found[key] = number
    return None if found.keys() & QUICK or any("[" in key for key in found) else found


_MOST = 500  # answers of some kilobytes each; all tables of the paper take 70
_LIBRARIES = {"hydra": "__init__.py", "omegaconf": "version.py", "yaml": "__init__.py"}
_VARIABLE = re.compile(r"oc\.env:\s*(\w+)")
_RESOLVER = re.compile(r"\$\{\s*(?!oc\.)[\w.]+\s*:")  # such as ${now:}, whose answer changes
_ANYTHING = re.compile(r"\$\{|^\W*hydra\b")  # interpolations, and settings of Hydra itself


class ConfigCache:
    """Answers of Hydra, which depend on the question, the configs and the code that reads them.

    It is a context manager and keeps new answers at its end. Nothing is cached in a Hydra program
    that looks for configs in other folders as well, nor for overrides that may depend on anything,
    nor where a folder of configs is missing: Hydra's set-up refuses that.
    """

    def __init__(self) -> None:
        self._cache: Cache | None = None
        self._variables: dict[str, str | None] = {}
        folders = (config_dir(), *config_dirs())
        if _looks_elsewhere() or not all(folder.is_dir() for folder in folders):
            return
        configs = [folder / path for folder in folders for path in config_files(folder)]
        texts = {path: path.read_text("utf-8", errors="replace") for path in configs}
        if any(_RESOLVER.search(text) for path, text in texts.items() if path.parent != folders[0]):
            return  # in the files at the top of configs/, resolvers are in Hydra's own section
        named = {name for text in texts.values() for name in _VARIABLE.findall(text)}
        self._variables = {name: os.environ.get(name) for name in sorted(named)}
        code = package_code("common", "config")
        mark = fingerprint([*configs, *code, *version_files(_LIBRARIES)], sys.version)
        self._cache = Cache("configs", mark, _MOST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._cache is not None:
            self._cache.write()

    def find(self, question: Sequence[str], find: Callable[[], Any]) -> Any:
        """The answer that was kept for ``question``, or else that of ``find``."""
        if self._cache is None or any(map(_ANYTHING.search, question)):
            return find()
        return self._cache.find([*question, self._variables], find)


def _looks_elsewhere() -> bool:
    """Whether a Hydra program is running that looks for configs in other folders than ours."""
    if "hydra" not in sys.modules:
        return False
    return set(_search_path()) != {str(folder) for folder in (config_dir(), *config_dirs())}


def _search_path() -> Iterator[str]:
    """The folders in which the running Hydra program looks for configs, except Hydra's own."""
    from hydra.core.global_hydra import GlobalHydra

    if not GlobalHydra.instance().is_initialized():
        yield from map(str, (config_dir(), *config_dirs()))
        return
    for element in GlobalHydra.instance().config_loader().get_search_path().get_path():
        if element.provider not in {"hydra", "schema"}:
            yield element.path.removeprefix("file://")
