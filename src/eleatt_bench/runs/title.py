"""Titles of runs for people: what was typed for a run, shortened, and the beginning of its hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eleatt_bench.common.literal import key_of, value_of
from eleatt_bench.runs.identity import is_place, model_name

_LONGEST = 120  # bytes; a title must be usable as a file's name
_FIRST = ("experiment", "model", "seed")  # shown in another form
_UNSAID = ("trainer", "hydra")  # chosen as a group, it says where a run is computed


def title(record: Mapping[str, Any]) -> str:
    """A title such as ``eleatt_gru seed=0 hidden_size=64 digits 1a2b3c``.

    What tells runs apart comes first, because the end is cut off where space is short.
    """
    identity = record["identity"]
    said = {key_of(override): value_of(override) for override in record["overrides"]}
    parts = [model_name(identity), f"seed={identity['seed']}"]
    for key, value in said.items():
        if key not in (*_FIRST, *_UNSAID) and not is_place(key):
            parts.append(f"{key.partition('.')[2] or key}={value}")
    parts.append(said.get("experiment", identity["data"]["name"]))
    text = "".join(c if c.isprintable() else "_" for c in " ".join(parts)).replace("/", "_")
    short = text.encode()[:_LONGEST].decode(errors="ignore")
    return f"{short} {record['run_id'].rpartition('-')[2][:6]}"


def accuracy_text(record: Mapping[str, Any] | None) -> str:
    """The test accuracy in a record or evaluation, or a dash."""
    test = (record or {}).get("metrics", {}).get("test", {})
    if "accuracy" not in test:
        return "–"
    clean = f"  clean {test['accuracy_clean']:.2%}" if "accuracy_clean" in test else ""
    return f"{test['accuracy']:.2%}{clean}"
