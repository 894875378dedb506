"""What a logger is here: one of Lightning's, opened on a run that may have begun earlier."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from eleatt_bench.common.files import write_text
from eleatt_bench.runs.identity import is_place
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.loggers.past import LoggedRow

Config = Mapping[str, Any]

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"
"""How a run ends, in MLflow's words."""


class Sink(Protocol):
    """Where rows go; once it is open, none of its errors ends the training."""

    title: str
    """What a person calls it."""

    def open(self, rows: Sequence[LoggedRow]) -> None:
        """Begin the run in the store, or continue it there, and add those of ``rows`` it lacks."""

    def log(self, row: LoggedRow) -> None:
        """Log one more row."""

    def close(self, how: str) -> None:
        """End the run in the store as ``how`` says; unless it is FINISHED, it may be continued."""


def parameters(config: Config) -> dict[str, Any]:
    """The settings that make the run what it is, in nested mappings."""
    return {
        key: {k: v for k, v in value.items() if not is_place(f"{key}.{k}")}
        if isinstance(value, Mapping)
        else value
        for key, value in config.items()
        if not is_place(key)
    }


def read_id(folder: RunFolder, logger: str) -> dict[str, str]:
    """What ``logger`` calls the run, as `write_id` noted it; empty if that is not known."""
    return _ids(folder).get(logger, {})


def write_id(folder: RunFolder, logger: str, **names: str) -> None:
    """Remember what ``logger`` calls the run."""
    folder.loggers.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_ids(folder) | {logger: names}, indent=2)
    write_text(folder.loggers / "ids.json", text + "\n")


def _ids(folder: RunFolder) -> dict[str, dict[str, str]]:
    try:
        found = json.loads((folder.loggers / "ids.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {
        logger: names
        for logger, names in (found.items() if isinstance(found, dict) else ())
        if isinstance(names, dict) and all(isinstance(name, str) for name in names.values())
    }


@contextmanager
def environment_kept() -> Iterator[None]:
    """Undo what a library writes into the environment of this process."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
