"""The schema: what it refuses, and where an override ends up."""

from __future__ import annotations

import pytest

from eleatt_bench.composition import compose_config
from eleatt_bench.errors import UserError


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.hidden_size=0", "model.hidden_size is 0; it must be at least 1"),
        ("model.dropout=1", r"model.dropout is 1.0; it must lie in \[0, 1\)"),
        ("model.dropout=-0.1", "model.dropout"),
        ("data.val_fraction=0", "data.val_fraction"),
        ("data.batch_size=0", "data.batch_size"),
        ("data.transforms.rotation=-1", "data.transforms.rotation"),
        ("trainer.max_epochs=0", "trainer.max_epochs"),
        ("seed=-1", "seed is -1"),
        ("model.gated_layers=[1]", "model.gated_layers names layer 1; layers count 0 to 0"),
        ("model.hidden_size=ten", "model.hidden_size.*could not be converted to Integer"),
        ("model.gate=relu", r"model.gate.*expected one of \[sigmoid, softmax\]"),
        ("data.sequence=rows", "data.sequence.*expected one of"),
        ("force=maybe", "force"),
        ("+model.extra=1", "Unknown config key 'model.extra'"),
        ("+optimizer.lrr=1", "Did you mean 'optimizer.lr'"),
        ("data.name=???", "Nothing sets 'data.name'"),
        ("scheduler._target_=shutil.rmtree", "is refused"),
    ],
)
def test_what_makes_no_sense_is_refused(override: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose_config(["experiment=digits", override])


def test_gated_layers_without_a_gate_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.gate is not: nothing is gated"):
        compose_config(["model=gru", "model.gated_layers=[0]"])


def test_options_of_an_optimizer_or_scheduler_are_free() -> None:
    cfg = compose_config(["+optimizer.options.betas=[0.8,0.9]", "+scheduler.options.gamma=0.5"])
    assert list(cfg.optimizer.options.betas) == [0.8, 0.9]
    assert cfg.scheduler.options.gamma == 0.5


def test_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEATT_DATA", "/somewhere/data")
    monkeypatch.setenv("ELEATT_RUNS", "/somewhere/runs")
    cfg = compose_config([])
    assert (cfg.data_dir, cfg.runs_dir) == ("/somewhere/data", "/somewhere/runs")
    assert compose_config(["data_dir=mine"]).data_dir == "mine"
