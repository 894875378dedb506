"""What a table must know of data sets, without opening stores or importing the code that does.

`eleatt_bench.data.catalog` finds it once; it is kept as long as the code and the `FileState` of the
store stay the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.common.files import FileState
from eleatt_bench.common.locations import package_code

_MOST = 1000


class Prepared(NamedTuple):
    """What is known of a store."""

    digest: str  # of its content
    untrained: bool  # whether random weights made its features
    incomplete: str | None  # how, in words
    width: int  # values of a frame


class DataSets:
    """The data sets in ``data_dir``, as far as they are asked for."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._cache = Cache("prepared", fingerprint(package_code("common", "data")), _MOST)
        self._found: dict[str, Prepared | None] = {}

    def of(self, name: str) -> Prepared | None:
        """What is known of ``name``; None if it is not prepared. An embedded one is prepared now.

        Raises:
            UserError: an unknown data set, or a damaged store (`DamagedDataError`).
        """
        if name not in self._found:
            self._found[name] = self._of(name)
            self._cache.write()
        return self._found[name]

    def _of(self, name: str) -> Prepared | None:
        path = self._cache.find(["path", name], lambda: _path(name))
        file = FileState.at(f"{self._data_dir}/{path}")
        if file is None:
            found = _read(self._data_dir, name)
        else:
            found = self._cache.find(
                ["store", name, file.key], lambda: _read(self._data_dir, name), keep=file.settled
            )
        return None if found is None else Prepared(*found)


def _path(name: str) -> str:
    from eleatt_bench.data import catalog

    return str(catalog.store_path(Path(), name))


def _read(data_dir: Path, name: str) -> list[Any] | None:
    from eleatt_bench.data import catalog
    from eleatt_bench.data.store import RANDOM_WEIGHTS

    digest = catalog.data_digest(data_dir, name)
    if digest is None:
        return None
    untrained = catalog.read_layout(data_dir, name).get("weights") == RANDOM_WEIGHTS
    width = catalog.frame_width(data_dir, name)
    return [digest, untrained, catalog.incomplete(data_dir, name), width]
