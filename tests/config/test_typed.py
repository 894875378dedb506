"""What a person typed composes as Hydra composes it, checked word by word, asked or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import hydra_ready

SAID = [
    [],
    ["experiment=digits", "quick=true", "seed=3"],
    ["seed=4", "experiment=digits", "quick=true"],
    ["model=gru", "model.hidden_size=7", "seed=1", "data.fold=0"],
    ["experiment=nucla", "scheduler=step", "scheduler.options.step_size=3"],
    ["optimizer.lr=${oc.decode:'0.5'}", "seed=2"],
    ["runs_dir=/tmp/a folder"],
]
MISTAKES = [
    ["experiment=digitz"], ["sed=1"], ["seed"], ["checked"], ["model=3", "seed=1"], ["data=null"],
    ["hydra.job.name=x"], ["seed=0x1"], ["seed=-1"], ["+typo=1"], ["model.hidden_size=0", "seed=5"],
    ["overrides of train"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def typed(said: list[str], name: str = "train") -> dict[str, object]:
    with Composer(name) as composer:
        return composer.typed(said)


@pytest.mark.parametrize("said", SAID, ids=" ".join)
@pytest.mark.few(2)
def test_it_is_what_hydra_composes_the_first_time_and_the_next(said: list[str]) -> None:
    with hydra_ready():
        expected = compose_config(said)
    for _ in range(2):
        found = typed(said)
        assert found == expected
        assert list(found) == list(expected)
        assert {key: type(value) for key, value in found["data"].items()} == {
            key: type(value) for key, value in expected["data"].items()
        }


@pytest.mark.parametrize("said", MISTAKES, ids=" ".join)
@pytest.mark.few(4)
def test_mistakes_are_found_the_first_time_and_the_next(said: list[str]) -> None:
    told = set()
    for _ in range(2):
        with pytest.raises(UserError) as error:
            typed(said)
        told.add(str(error.value))
    assert len(told) == 1


def test_numbers_of_a_training_are_no_settings_of_a_test() -> None:
    assert typed(["run=a"], "eval")["run"] == "a"
    for said in (["run=a", "seed=1"], ["run=a", "data.fold=1"]):
        with pytest.raises(UserError, match="Unknown config key"):
            typed(said, "eval")


def test_what_was_composed_for_one_seed_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(["experiment=digits", "seed=0"])

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("Hydra was asked")

    for name in ("compose.composed", "overrides.check_override", "setup.hydra_ready"):
        monkeypatch.setattr(f"eleatt_bench.config.{name}", fail)
    assert typed(["experiment=digits", "seed=12"])["data"]["val_seed"] == 12
    with pytest.raises(AssertionError, match="Hydra was asked"):
        typed(["experiment=digits", "model=gru", "seed=12"])
