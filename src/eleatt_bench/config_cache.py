"""What Hydra has composed of the files in ``configs/``, kept from one process to the next."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eleatt_bench.cache import Cache, fingerprint
from eleatt_bench.locations import config_dir

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
        code = sorted(Path(__file__).parent.glob("*.py"))
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
