"""What a table has to know about its data sets, from their stores or from published files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import DamagedDataError, UserError, reason
from eleatt_bench.common.files import read_bounded
from eleatt_bench.data.prepared import DataSets, Prepared

_MOST = 1 << 24  # bytes; the subjects of NTU RGB+D 120 take a fifth


class DataFacts:
    """Facts about the data sets whose stores lie in ``data_dir``.

    A damaged store counts as none, and `damage` says so.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._prepared = data_dir, DataSets(data_dir)
        self._damages: dict[str, str] = {}

    def digest(self, name: str) -> str | None:
        """The content digest; None for a data set that is not prepared."""
        found = self._of_store(name)
        return None if found is None else found.digest

    def is_untrained(self, name: str) -> bool:
        """Whether the data set is features from a network with random weights."""
        found = self._of_store(name)
        return found is not None and found.untrained

    def incomplete(self, name: str) -> str | None:
        """What is missing from the data set, in words; None if it is complete or not prepared."""
        found = self._of_store(name)
        return None if found is None else found.incomplete

    def width(self, name: str) -> int | None:
        """The number of values of a frame; None if it is not known."""
        found = self._of_store(name)
        return None if found is None else found.width

    def damage(self, name: str) -> str | None:
        """How the store is damaged, and the command that mends it; None if nothing is known."""
        self._of_store(name)
        return self._damages.get(name)

    def state(self, name: str) -> str | None:
        """A value that changes whenever `subjects` do while the content stays the same."""
        return None

    def subjects(self, name: str) -> dict[bytes, int] | None:
        """The subject of each sample, by the sample's name; None if the data set does not say.

        Raises:
            DamagedDataError: the store is damaged, which may show only now that all of it is read.
        """
        from eleatt_bench.data import catalog

        store = catalog.open_store(self._data_dir, name)
        if "subject" not in store.metadata:
            return None
        subjects = store.metadata["subject"].tolist()
        named = zip(store.names, subjects, strict=True)
        return {sample.encode(): subject for sample, subject in named}

    def _of_store(self, name: str) -> Prepared | None:
        if name in self._damages:
            return None
        try:
            return self._prepared.of(name)
        except DamagedDataError as error:
            self._damages[name] = str(error)
            return None


class PublishedFacts(DataFacts):
    """Facts from the files ``<name>.json`` in ``folder``, which `described` makes; reads no store.

    Every method raises `UserError` if a file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._read = cache(lambda name: _read(folder / f"{name}.json"))

    def digest(self, name: str) -> str | None:
        found = self._read(name)
        return None if found is None else found["content_digest"]

    def is_untrained(self, name: str) -> bool:
        return bool(self._of(name)["untrained"])

    def incomplete(self, name: str) -> str | None:
        from eleatt_bench.data import completeness

        found = self._read(name)
        return None if found is None else completeness.remark(name, found["samples"])

    def width(self, name: str) -> int | None:
        return None

    def damage(self, name: str) -> str | None:
        return None

    def state(self, name: str) -> str | None:
        return json.dumps(self._read(name))

    def subjects(self, name: str) -> dict[bytes, int] | None:
        found = self._of(name)["subjects"]
        return found and {sample.encode(): subject for sample, subject in found.items()}

    def _of(self, name: str) -> Mapping[str, Any]:
        found = self._read(name)
        assert found is not None  # nobody asks about a data set without a digest
        return found


def described(data_dir: Path, name: str) -> str:
    """The text of the file from which `PublishedFacts` reads the facts about a data set.

    Raises:
        UserError: the data set is not prepared, or its store is damaged.
    """
    from eleatt_bench.data import catalog

    store, facts = catalog.open_store(data_dir, name), DataFacts(data_dir)
    subjects = facts.subjects(name)
    found = {
        "content_digest": store.content_digest,
        "attributes_digest": store.attributes_digest,
        "samples": len(store.labels),
        "untrained": facts.is_untrained(name),
        "subjects": None
        if subjects is None
        else {sample.decode(): subject for sample, subject in subjects.items()},
    }
    return json.dumps(found, indent=0, ensure_ascii=False) + "\n"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_bounded(path, _MOST))
        kinds = {"content_digest": str, "samples": int, "untrained": bool}
        if type(found) is not dict or any(type(found.get(key)) is not kinds[key] for key in kinds):
            raise ValueError("it does not describe a data set")
        subjects = found.get("subjects")
        if subjects is not None and not (
            type(subjects) is dict and all(type(one) is int for one in subjects.values())
        ):
            raise ValueError("its subjects are no numbers")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({reason(error)}): git checkout -- {path}") from error
    return {**found, "subjects": subjects}
