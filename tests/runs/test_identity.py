"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.config.compose import compose_config
from eleatt_bench.runs import identity as module
from eleatt_bench.runs.identity import PLACES as PLACES_SAID
from eleatt_bench.runs.identity import (
    identity,
    is_place,
    model_name,
    run_id,
    run_ids,
    without_digest,
)

DIGEST = "d" * 64
CONFIG: dict[str, Any] = compose_config(["experiment=nucla", "model=eleatt_gru"])
ELSEWHERE = {
    ("model", "backend"),
    ("trainer", "accelerator"),
    ("trainer", "devices"),
    ("trainer", "strategy"),
    ("trainer", "num_threads"),
    ("trainer", "profiler"),
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
PLACES = [p for p in ALL if p in ELSEWHERE or p[0] in {"launcher", "logger", "table", "force"}]
PLACES += [("data_dir",), ("runs_dir",), ("pretraining",)]


@pytest.mark.parametrize("path", [p for p in ALL if p not in PLACES], ids=".".join)
def test_whatever_can_change_a_number_changes_the_name(path: tuple[str, ...]) -> None:
    assert run_id(identity(changed(path), DIGEST)) != run_id(identity(CONFIG, DIGEST))


@given(st.sampled_from(PLACES), st.none() | st.integers() | st.text())
def test_where_and_how_it_is_computed_does_not(path: tuple[str, ...], value: Any) -> None:
    assert run_id(identity(changed(path, value), DIGEST)) == run_id(identity(CONFIG, DIGEST))


def test_every_excluded_name_is_one_of_the_schema() -> None:
    assert set(ALL) >= ELSEWHERE
    named = {tuple(place.split(".")) for place in PLACES_SAID}
    assert named == ELSEWHERE | {
        (key,) for key in ("launcher", "logger", "table", "force", "data_dir", "runs_dir")
    }
    assert all(is_place(".".join(path)) for path in PLACES if path != ("pretraining",))
    assert not any(is_place(".".join(path)) for path in ALL if path not in PLACES)


@pytest.mark.parametrize("section", ["data", "model", "optimizer", "scheduler", "trainer", None])
def test_a_setting_that_is_added_later_is_part_of_it(section: str | None) -> None:
    config = deepcopy(CONFIG)
    (config[section] if section else config)["added_later"] = 1
    assert run_id(identity(config, DIGEST)) != run_id(identity(CONFIG, DIGEST))


def test_a_new_recipe_makes_new_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_id(identity(CONFIG, DIGEST))
    monkeypatch.setattr(module, "RECIPE_VERSION", module.RECIPE_VERSION + 1)
    assert run_id(identity(CONFIG, DIGEST)) != before


def test_a_number_has_one_spelling() -> None:
    def name(*overrides: str) -> str:
        config = compose_config(["experiment=nucla", *overrides])
        return run_id(identity(config, DIGEST))

    written = name("optimizer.lr=0.005", "trainer.gradient_clip_val=1.0", "model.dropout=0.0")
    assert written == name("optimizer.lr=5e-3", "trainer.gradient_clip_val=1", "model.dropout=0")


def test_other_data_make_another_run() -> None:
    assert run_id(identity(CONFIG, "e" * 64)) != run_id(identity(CONFIG, DIGEST))
    with pytest.raises(ValueError, match="no name"):
        run_id(identity(CONFIG, None))
    assert without_digest(identity(CONFIG, DIGEST)) == identity(CONFIG, None)


def test_the_run_that_the_weights_come_from_is_part_of_it() -> None:
    before = identity(changed(("seed",), 7), "e" * 64)
    this = identity(CONFIG, DIGEST, before)
    assert this["pretraining"] == before
    names = {
        run_id(identity(CONFIG, DIGEST)),
        run_id(this),
        run_id(identity(CONFIG, DIGEST, identity(CONFIG, "e" * 64))),
        run_id(identity(CONFIG, DIGEST, identity(changed(("seed",), 7), "f" * 64))),
    }
    assert len(names) == 4
    unnamed = identity(CONFIG, DIGEST, identity(changed(("seed",), 7), None))
    assert without_digest(this) == without_digest(unnamed)
    with pytest.raises(ValueError, match="no name"):
        run_id(unnamed)


def test_a_rehearsal_is_another_run_and_its_name_says_so() -> None:
    assert run_id(identity(changed(("quick",), True), DIGEST)).startswith("quick-nucla-")


def test_settings_that_came_later_do_not_rename_earlier_runs() -> None:
    this = identity(CONFIG, DIGEST)
    assert "loss" not in this
    assert "quick" not in this
    assert "limit" not in this["data"]
    assert "shift" not in this["data"]["transforms"]
    assert CONFIG["data"]["transforms"]["shift"] == 0, "the configuration itself was changed"
    assert "accumulate_grad_batches" not in this["trainer"]
    before = deepcopy(CONFIG)  # as their files have it
    del before["loss"], before["quick"], before["data"]["limit"]
    del before["data"]["transforms"]["shift"]
    del before["trainer"]["accumulate_grad_batches"]
    assert identity(before, DIGEST) == this
    assert "pretraining" not in this


def test_all_layers_gated_has_one_spelling() -> None:
    every = changed(("model", "gated_layers"))
    for spelling in ([0, 1, 2], [2, 0, 1, 1]):
        every["model"]["gated_layers"] = spelling
        assert run_id(identity(every, DIGEST)) == run_id(identity(CONFIG, DIGEST))


def test_a_gate_on_no_layer_is_no_gate() -> None:
    on_none = changed(("model", "gate"), "sigmoid")
    on_none["model"]["gated_layers"] = []
    ungated = changed(("model", "gate"), None)
    assert run_id(identity(on_none, DIGEST)) == run_id(identity(ungated, DIGEST))
    assert run_id(identity(on_none, DIGEST)) != run_id(identity(CONFIG, DIGEST))


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


def test_a_whole_configuration_has_one_name_everywhere() -> None:
    code = (
        "import json, sys; from eleatt_bench.runs.identity import identity, run_id\n"
        "config, digest = json.load(sys.stdin); print(run_id(identity(config, digest)))"
    )
    backwards = {key: CONFIG[key] for key in reversed(CONFIG)}  # nor does the order matter
    names = {
        subprocess.run(
            [sys.executable, "-c", code], input=json.dumps([backwards, DIGEST]),
            capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout.strip()
        for seed in ("0", "1")
    }  # fmt: skip
    assert names == {run_id(identity(CONFIG, DIGEST))}


def test_the_configuration_is_left_as_it_was() -> None:
    before = deepcopy(CONFIG)
    identity(CONFIG, DIGEST)
    assert before == CONFIG


@given(st.lists(st.integers(0, 2**63), max_size=5), st.sampled_from([False, True]))
def test_names_by_seed_are_those_of_one_by_one(seeds: list[int], quick: bool) -> None:
    this = {**identity(CONFIG, DIGEST), "zzz": 1, **({"quick": True} if quick else {})}
    for seed, name in zip(seeds, run_ids(this, seeds, ["seed", "data.val_seed"]), strict=True):
        of_seed = {**this, "seed": seed, "data": {**this["data"], "val_seed": seed}}
        text = json.dumps(of_seed, sort_keys=True, separators=(",", ":"))
        assert name.endswith(f"-seed{seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")
        assert name == run_id(of_seed)
