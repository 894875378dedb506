"""A run is taken for what its record says, whatever became of its config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.identity import identity, run_id
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.folder import reopen


@pytest.fixture
def run(short_config, record_of, tmp_path: Path, monkeypatch) -> RunFolder:
    """A run on the digits that was not trained: what it leaves but for the weights."""
    from eleatt_bench.data import catalog

    config: dict[str, Any] = short_config("model=eleatt_gru")
    digest = catalog.open_store(tmp_path / "data", "digits").content_digest
    this = identity(config, digest)
    made = RunFolder(tmp_path / "runs", run_id(this))
    made.write(record_of(made.run_id, identity=this, data_digest=digest))
    made.config.write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    return made


def open_again(run: RunFolder) -> dict[str, Any]:
    return reopen(run.path.parent, run.run_id, run.path.parents[1] / "data")[1]


def test_an_untouched_run_opens(run: RunFolder) -> None:
    config = open_again(run)
    assert config["model"]["cell"] == "gru"
    assert config["data_dir"] == str(run.path.parents[1] / "data")


def test_settings_that_say_where_it_is_computed_may_change(run: RunFolder) -> None:
    edit(run, "backend: auto", "backend: scan")
    assert open_again(run)["model"]["backend"] == "scan"


def edit(run: RunFolder, old: str, new: str) -> None:
    text = run.config.read_text(encoding="utf-8")
    assert old in text
    run.config.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("readout: last", "readout: mean", 'model.readout is "mean", and was "last"'),
        ("cell: gru", "cell: lstm", 'model.cell is "lstm", and was "gru"'),
        (
            "gate: sigmoid",
            "gate: null",
            r"model.gate is null, and was .*model.gated_layers is \[\]",
        ),
        ("lr: 0.005", "lr: 0.5", "optimizer.lr is 0.5, and was 0.005"),
        ("seed: 0\nquick", "seed: 1\nquick", "seed is 1, and was 0"),
        ("protocol: fixed", "protocol: other", 'data.protocol is "other", and was "fixed"'),
        (
            "monitor: null\n  options: {}",
            "monitor: null\n  options: {foo: 1}",
            "scheduler.options.foo is set, but no scheduler",
        ),
        ("limit: null", "limit: 64", "data.limit is 64, and was not set"),
        ("hidden_size: 8", "hidden_sise: 8", "Key 'hidden_sise' not in 'ModelConfig'"),
        ("hidden_size: 8", "hidden_size: 0", "model.hidden_size is 0; it must be at least 1"),
        ("hidden_size: 8", "hidden_size: eight", "could not be converted to Integer"),
        ("hidden_size: 8", "hidden_size: &x 8", r"is damaged \(it has anchors or aliases\)"),
        ("_target_: torch.optim.Adam", "_target_: os.system", "os.system"),
    ],
)
@pytest.mark.few(3)
def test_a_changed_configuration_is_refused_and_the_key_named(
    run: RunFolder, old: str, new: str, says: str
) -> None:
    edit(run, old, new)
    with pytest.raises(UserError, match=says) as refused:
        open_again(run)
    assert str(refused.value).startswith(str(run.config))
    assert "\n" not in str(refused.value)


def test_a_setting_that_came_after_the_run_has_its_default(run: RunFolder) -> None:
    edit(run, "  limit: null\n", "")
    edit(run, "quick: false\n", "")
    config = open_again(run)
    assert config["data"]["limit"] is None
    assert config["quick"] is False


def test_a_setting_whose_default_is_another_is_named(run: RunFolder) -> None:
    edit(run, "  hidden_size: 8\n", "")
    with pytest.raises(UserError, match=r"model\.hidden_size is 100, and was 8"):
        open_again(run)


def test_without_a_configuration_it_says_how_to_have_one(run: RunFolder) -> None:
    run.config.unlink()
    with pytest.raises(UserError, match=r"config\.yaml is gone\. Train the run anew: .*force=true"):
        open_again(run)
    run.record.write_text("{}")
    with pytest.raises(UserError, match=r"record.json is damaged \(it lacks run_id\)"):
        open_again(run)
