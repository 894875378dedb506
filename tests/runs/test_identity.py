"""What makes two runs the same run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.composition import compose_config
from eleatt_bench.config import plain
from eleatt_bench.runs.identity import identity, model_name, run_id, without_digest

DIGEST = "d" * 64
CONFIG: dict[str, Any] = plain(compose_config(["experiment=nucla", "model=eleatt_gru"]))
ELSEWHERE = {
    ("model", "backend"),
    ("trainer", "accelerator"),
    ("trainer", "devices"),
    ("trainer", "strategy"),
    ("trainer", "num_threads"),
}


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def changed(path: tuple[str, ...], value: Any = "something else") -> dict[str, Any]:
    config = deepcopy(CONFIG)
    node = config
    for key in path[:-1]:
        node = node[key]
    value = {("model", "gated_layers"): [0], ("model", "num_layers"): 4}.get(path, value)
    node[path[-1]] = value
    return config


ALL = sorted(leaves(CONFIG))
PLACES = [p for p in ALL if p in ELSEWHERE or p[0] in {"launcher", "table", "force"}]
PLACES += [("data_dir",), ("runs_dir",)]


@pytest.mark.parametrize("path", [p for p in ALL if p not in PLACES], ids=".".join)
def test_whatever_can_change_a_number_changes_the_name(path: tuple[str, ...]) -> None:
    assert run_id(identity(changed(path), DIGEST)) != run_id(identity(CONFIG, DIGEST))


@given(st.sampled_from(PLACES), st.none() | st.integers() | st.text())
def test_where_and_how_it_is_computed_does_not(path: tuple[str, ...], value: Any) -> None:
    assert run_id(identity(changed(path, value), DIGEST)) == run_id(identity(CONFIG, DIGEST))


def test_other_data_make_another_run() -> None:
    assert run_id(identity(CONFIG, "e" * 64)) != run_id(identity(CONFIG, DIGEST))
    with pytest.raises(ValueError, match="no name"):
        run_id(identity(CONFIG, None))
    assert without_digest(identity(CONFIG, DIGEST)) == identity(CONFIG, None)


def test_all_layers_gated_has_one_spelling() -> None:
    every = changed(("model", "gated_layers"))
    every["model"]["gated_layers"] = [2, 0, 1, 1]
    assert run_id(identity(every, DIGEST)) == run_id(identity(CONFIG, DIGEST))


def test_the_name_begins_with_what_a_person_looks_for() -> None:
    assert run_id(identity(CONFIG, DIGEST)).startswith("nucla-eleatt_gru-seed0-")
    ungated = changed(("model", "gate"), None)
    assert model_name(identity(ungated, DIGEST)) == "gru"


def test_the_name_is_the_same_in_every_process() -> None:
    code = (
        "from eleatt_bench.runs.identity import run_id\n"
        "print(run_id({'data': {'name': 'd', 'digest': 'x'}, 'seed': 3,"
        " 'model': {'cell': 'rnn', 'gated_layers': []}}))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert names == {"d-rnn-seed3-840df9ce2724\n"}


def test_the_configuration_is_left_as_it_was() -> None:
    before = deepcopy(CONFIG)
    identity(CONFIG, DIGEST)
    assert before == CONFIG
