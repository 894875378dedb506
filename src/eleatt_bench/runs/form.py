"""The checks of records and configurations, on which code that reads them may rely."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from eleatt_bench.runs.identity import RECIPE_VERSION, is_named, run_id

MOST = 1 << 20
"""The most bytes that a record or a configuration may have; a run writes a few thousand."""

_DEEPEST = 32  # levels of nesting
_LARGEST = 1 << 64  # no count, seed or number of bytes is as large


def says_finished(record: Mapping[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Whether ``record``, or a summary of it, says that the run is finished.

    Another process may be training the run anew: `RunFolder.is_finished` asks for that as well.
    """
    return record is not None and record.get("status") == "finished"


def parse_record(content: bytes, name: str) -> dict[str, Any]:
    """The record of the run called ``name``, from the ``content`` of its file.

    It has every key that all records have and, if the run is finished, every key that all finished
    runs have. The value of every known key is of its kind. All values are plain: finite numbers,
    text, lists, mappings, true, false and null.

    Raises:
        ValueError: ``content`` is not the record of that run, with the reason.
    """
    record = _parsed_json(content)
    _check_kinds(record)
    if record["run_id"] != name:
        raise ValueError(f"it is the record of {_short(record['run_id'])}")
    this = record["identity"]
    # Another program named the runs of another recipe.
    if this["recipe_version"] == RECIPE_VERSION and is_named(this) and run_id(this) != name:
        raise ValueError(f"its identity is that of another run, {_short(run_id(this))}")
    return dict(record)


def parse_evaluation(content: bytes) -> dict[str, Any]:
    """The result of ``eleatt-bench eval``, from the ``content`` of its file.

    Raises:
        ValueError: ``content`` is no such result, with the reason.
    """
    found = _parsed_json(content)
    if type(found) is not dict or not _mapping_to(_are_metrics)(found.get("metrics")):
        raise ValueError("it has no metrics")
    return found


def _parsed_json(content: bytes) -> Any:
    try:
        found = json.loads(content)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:  # an integer of more than 4,300 digits
        raise ValueError(_TOO_LARGE) from None
    _check_plain(found)
    return found


def parse_config(content: bytes) -> dict[str, Any]:
    """The configuration in a ``config.yaml`` with this ``content``: plain values, as written there.

    Raises:
        ValueError: ``content`` is not what a run writes, with the reason.
    """
    import yaml  # only here: to list runs or to print a table, no configuration is read

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # eight times as fast, if built
    try:
        text = content.decode()
        if "${" in text:
            raise ValueError("it has interpolations")
        depth = 0
        for event in yaml.parse(text, Loader=loader):  # values may be much larger than the text
            if getattr(event, "anchor", None) is not None:
                raise ValueError("it has anchors or aliases")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError(_TOO_DEEP)
        config = yaml.load(text, Loader=loader)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise ValueError("it is no configuration")
    _check_plain(config)
    return config


_TOO_DEEP = f"it is nested deeper than {_DEEPEST} levels"
_TOO_LARGE = "it has an integer beyond 64 bits"


def _check_plain(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is str:
                if not one.isascii():
                    one.encode()  # raises for half a pair of surrogates, which nothing can write
            elif kind is dict:
                below += one
                below += one.values()
            elif kind is list:
                below += one
            elif kind is int:
                if not -_LARGEST < one < _LARGEST:
                    raise ValueError(_TOO_LARGE)
            elif kind is float:
                if not math.isfinite(one):
                    raise ValueError(f"it has the number {one}")
            elif kind is not bool and one is not None:
                raise ValueError(f"it has a {kind.__name__}, which no run writes")
        if not below:
            return
        level = below
    raise ValueError(_TOO_DEEP)


def _check_kinds(record: Any) -> None:
    if type(record) is not dict:
        raise ValueError("it is no record")
    finished = says_finished(record)
    for keys, needed in ((_HEAD, True), (RESULT, finished), (_REST, False)):
        for key, (fits, words) in keys.items():
            if key not in record:
                if needed:
                    raise ValueError(f"it lacks {key}")
            elif not fits(record[key]):
                given = _short(json.dumps(record[key], ensure_ascii=False))
                raise ValueError(f"{key} must be {words}, not {given}")
    if finished and not all("accuracy" in record["metrics"].get(s, {}) for s in ("val", "test")):
        raise ValueError("its metrics lack an accuracy")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN = 60  # characters of a wrong value

Fits = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_line(value: Any) -> bool:
    """Whether ``value`` is a text without line breaks and terminal control characters."""
    return type(value) is str and value.isprintable()


def _is_text_or_null(value: Any) -> bool:
    return value is None or type(value) is str


def _is_line_or_null(value: Any) -> bool:
    return value is None or _is_line(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


def _list_of(fits: Fits) -> Fits:
    return lambda values: type(values) is list and all(map(fits, values))


def _mapping_to(fits: Fits) -> Fits:
    return lambda values: type(values) is dict and all(map(fits, values.values()))


def _are_turns(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(turn, list) and len(turn) == 2 and _is_line(turn[0]) and _is_count(turn[1])
        for turn in values
    )


def _are_metrics(values: Any) -> bool:
    return type(values) is dict and all(
        _is_number(value) and (0 <= value <= 1 or "accuracy" not in name)
        for name, value in values.items()
    )


def _is_timing(values: Any) -> bool:
    """Whether moments are texts and all else is numbers, or null if it was not measured."""
    return type(values) is dict and all(
        _is_text(value)
        if name in ("started", "finished")
        else value is None or (_is_number(value) and value >= 0)
        for name, value in values.items()
    )


def _is_identity(value: Any) -> bool:
    """Whether ``value`` has what every identity has, and that of its pre-training has it too."""
    return (
        type(value) is dict
        and _has(value, {"data": _has_data, "model": _has_model})
        and _has(value, {"seed": _is_count, "recipe_version": _is_count})
        and ("pretraining" not in value or _is_identity(value["pretraining"]))
    )


def _has_data(value: Any) -> bool:
    keys = {"name": _is_text, "sequence": _is_text, "digest": _is_text_or_null}
    return type(value) is dict and _has(value, keys)


def _has_model(value: Any) -> bool:
    keys = {"cell": _is_text, "gated_layers": _list_of(_is_count)}
    return type(value) is dict and _has(value, keys)


def _has(values: Mapping[str, Any], keys: Mapping[str, Fits]) -> bool:
    return all(key in values and fits(values[key]) for key, fits in keys.items())


_TEXT = (_is_text, "a text")
_LINE = (_is_line, "a line of text")
_COUNT = (_is_count, "a count")
STATES = ("running", "finished", "failed", "pruned")
_SELECTIONS = ("best", "last")

_HEAD: dict[str, tuple[Fits, str]] = {
    "run_id": _TEXT,
    "status": (STATES.__contains__, f"one of {', '.join(STATES)}"),
    "identity": (_is_identity, "an identity"),
    "overrides": (_list_of(_is_text), "a list of texts"),
    "command": _TEXT,
    "data_digest": _TEXT,
}
"""The keys that every record has: a check of the value, and the check in words."""

RESULT: dict[str, tuple[Fits, str]] = {
    "metrics": (_mapping_to(_are_metrics), "numbers, accuracies from 0 to 1, by stage and name"),
    "epochs": (lambda value: _is_count(value) and value > 0, "a count above 0"),
    "parameters": _COUNT,
    "device": _LINE,
    "accelerator": _LINE,
    "num_threads": _COUNT,
    "backend": _LINE,
    "timing": (_is_timing, "moments and numbers"),
}
"""The keys that the record of every finished run has as well."""

_REST: dict[str, tuple[Fits, str]] = {
    "seed": _COUNT,
    "pretraining": _TEXT,
    "versions": (_mapping_to(_is_line), "lines of text by name"),
    "git_commit": (_is_line_or_null, "a line of text or null"),
    "commits": (_are_turns, "names and counts"),
    "devices": (_are_turns, "names and counts"),
    "error": _TEXT,
    "best_epoch": _COUNT,
    "selection": (_SELECTIONS.__contains__, "best or last"),
    "samples": (_mapping_to(_is_count), "counts by stage"),
    "predictions_digest": _TEXT,
    "whole_predictions_digest": _TEXT,
    "attributes_digest": _TEXT,
    "inputs_digest": _TEXT,
}
"""The keys that some records have."""
