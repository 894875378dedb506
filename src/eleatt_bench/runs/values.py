"""The settings and results of runs, under one flat set of keys to filter and to sort by.

A key is a setting (``model.gate``), a metric (``test/accuracy``), ``run``, ``status``, or another
key of the record (``parameters``, ``timing.seconds``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.common.literal import canonical, literal
from eleatt_bench.common.nested import leaves, value_at
from eleatt_bench.runs.form import RESULT
from eleatt_bench.runs.identity import OMITTED
from eleatt_bench.runs.record import Record, RunFolder
from eleatt_bench.runs.summaries import LIKENESS, Summaries, Summary

_RENAMED = {"run_id": "run", "pretraining": "pretraining.run"}
_TWICE = ("status", "identity", "metrics", "overrides", "data_digest")
"""Keys of a record that are not taken as they stand; most are there under another key."""
_NOT_SHORT = frozenset({*_TWICE, *_RENAMED, LIKENESS})
"""Keys that are not looked up in a summary."""
_STAGES = ("train", "val", "test")


class Run:
    """A run that left a record, with all its values.

    With a ``summary``, the record is read only for values that a summary lacks.
    """

    def __init__(self, folder: RunFolder, summary: Summary | None = None) -> None:
        self.folder, self._summary = folder, summary

    @cached_property
    def record(self) -> Record:
        """The record; empty if it is damaged."""
        return self.folder.read() or {}

    @property
    def _known(self) -> Mapping[str, Any]:
        """The summary if there is one, else the record."""
        return self.record if self._summary is None else self._summary

    @cached_property
    def status(self) -> str:
        """As `RunFolder.status`."""
        return self.folder.status(self._summary)

    @cached_property
    def results(self) -> dict[str, Any]:
        """The run's name, status and metrics; for a damaged record also what is wrong with it."""
        found = {"run": self.folder.run_id, "status": self.status}
        if self.status == "damaged":
            found["error"] = self.folder.damage() or ""
        for stage, metrics in self._known.get("metrics", {}).items():
            found |= {f"{stage}/{name}": value for name, value in metrics.items()}
        return found

    @cached_property
    def values(self) -> dict[str, Any]:
        """All values of the record, the `results` first."""
        own = {
            _RENAMED.get(key, key): value for key, value in self.record.items() if key not in _TWICE
        }
        settings = dict(leaves(self.record.get("identity", {})))
        known = settings | (_DEFAULTS if settings else {}) | settings | dict(leaves(own))
        return self.results | known | self.results

    @cached_property
    def config(self) -> dict[str, Any]:
        """All values of the configuration, also those that are no part of the run's name.

        Empty if the file is damaged; standard error then says so.
        """
        config, damage = self.folder.read_config()
        if damage:
            print(damage, file=sys.stderr)
        return dict(leaves(config or {}))

    def has(self, key: str) -> bool:
        """Whether the run has a value for ``key``, which may be None."""
        return key in self.values or key in self.config or key in _DEFAULTS

    def get(self, key: str) -> Any:
        """The value for ``key``; None if there is none."""
        stage, slash, name = key.partition("/")
        if slash and stage in _STAGES:
            return self._known.get("metrics", {}).get(stage, {}).get(name)
        if key == "run":
            return self.folder.run_id
        if key == "status":
            return self.status
        head = key.partition(".")[0]
        if self._summary is not None and head not in _NOT_SHORT:
            value = value_at(self._summary, key)
            known = value is not None or head in RESULT  # these only a record has
            if known and not isinstance(value, dict):
                return value
        for values in (self.values, self.config, _DEFAULTS):
            if key in values:
                return values[key]
        return None


_DEFAULTS = {
    key: value
    for section, name, default in OMITTED
    for key, value in leaves(default, f"{section}.{name}".lstrip("."))
}
"""Settings that came later, at the values that runs without them had."""


def read_runs(runs_dir: Path) -> list[Run]:
    """Every run below ``runs_dir`` that has a record, by name."""
    summaries = Summaries(runs_dir)
    runs = [Run(folder, summary) for folder, summary in summaries.every()]
    summaries.keep()
    return runs


def check_keys(keys: Iterable[str], runs: Sequence[Run]) -> None:
    """Raise a `UserError` for a key that none of ``runs`` has."""
    for key in keys:
        if runs and not any(run.has(key) for run in runs):
            every = {known for run in runs for known in (*run.values, *run.config)}
            raise unknown("key", key, every)


def select(runs: Sequence[Run], filters: Iterable[str]) -> list[Run]:
    """Those of ``runs`` that agree with all ``filters``, each ``KEY=VALUE``.

    Raises:
        UserError: a text is no filter, or no run has its key.
    """
    selected = list(runs)
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{text!r} is not a filter: write KEY=VALUE, e.g. status=finished")
        check_keys([key], runs)
        selected = [run for run in selected if _is(run.get(key), value)]
    return selected


def equal(runs: Sequence[Run], values: Mapping[str, Any]) -> list[Run]:
    """Those of ``runs`` that have all of ``values``, by key.

    Raises:
        UserError: a key that no run has.
    """
    check_keys(values, runs)
    return [run for run in runs if all(run.get(key) == value for key, value in values.items())]


def ordered(runs: Sequence[Run], key: str, *, reverse: bool = False) -> list[Run]:
    """``runs`` by their values for ``key``, those without one last in either direction.

    Raises:
        UserError: a key that no run has.
    """
    check_keys([key], runs)
    valued = [run for run in runs if run.get(key) is not None]
    without = [run for run in runs if run.get(key) is None]
    return [*sorted(valued, key=lambda run: _rank(run.get(key)), reverse=reverse), *without]


_IN_THE_NAME = ("data.name", "data.digest", "data.val_seed", "model.cell", "model.gate", "seed")
"""Settings that the name of a run tells, or that follow from such settings."""


def differing(runs: Sequence[Run]) -> list[str]:
    """The settings of the identity in which ``runs`` differ, except those that their names tell."""
    known = [dict(leaves(run.record.get("identity", {}))) for run in runs]
    keys = dict.fromkeys(key for one in known for key in one)
    told = (*_IN_THE_NAME, *(key for key in keys if key.startswith("pretraining.")))
    return [key for key in keys if key not in told and len(_values(key, runs)) > 1]


def _values(key: str, runs: Sequence[Run]) -> set[str]:
    gated = key == "model.gated_layers"  # counts only with a gate: without one it is empty
    return {json.dumps(run.get(key)) for run in runs if not gated or run.get("model.gate")}


def _is(value: Any, text: str) -> bool:
    """Whether ``value`` is what a person means by ``text``, as JSON or as typed for a setting."""
    if value is None or isinstance(value, bool):
        return json.dumps(value) == text.lower()
    if isinstance(value, str):
        return text in (value, f"'{value}'", f'"{value}"')
    if _spelling(text) == _spelling(literal(value)):
        return True
    try:
        meant = json.loads(text)
    except json.JSONDecodeError:
        return False
    return bool(value == meant) and not isinstance(meant, bool)


@lru_cache(1000)  # thousands of runs share a few values
def _spelling(text: str) -> str:
    """The one spelling of ``text`` as the value of an override."""
    return canonical(f"={text}")


def _rank(value: Any) -> tuple[int, Any]:
    """A key to sort by: numbers before texts, and lists by their text."""
    if isinstance(value, int | float):
        return 0, value
    return 1, value if isinstance(value, str) else json.dumps(value)
