"""Runs that begin with the recurrent layers of another run; all on the digits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from eleatt_bench.api.networks import network
from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.store import Sample
from eleatt_bench.data.writing import write_store
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.sweeps.grid import plan_jobs
from eleatt_bench.training.attention import attention_to
from eleatt_bench.training.checkpoints import begin_with
from eleatt_bench.training.fit import build
from eleatt_bench.training.published import write_weights
from eleatt_bench.training.run import train

from .conftest import weights

QUICK = ["quick=true", "pretraining=digits"]


def begun(config) -> dict[str, torch.Tensor]:
    """The weights before the first step of a run of ``config`` without pre-training."""
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    return {name: value.clone() for name, value in build(config, store)[1].state_dict().items()}


def test_all_recurrent_layers_are_taken_over_and_the_classifier_is_new(short_config) -> None:
    # With a learning rate of 0 a run ends as it began.
    config = short_config(*QUICK, "optimizer.lr=0")
    folder, record = train(config, ["pretraining=digits"])
    source = RunFolder(Path(config["runs_dir"]), record["pretraining"])
    assert source.status() == "finished"
    theirs, ours, fresh = weights(source, "best"), weights(folder, "best"), begun(config)
    for name, value in ours.items():
        if name.startswith("recurrent."):
            assert torch.equal(value, theirs[name]), name
        elif name.startswith("classifier."):
            assert torch.equal(value, fresh[name]), name
            assert not torch.equal(value, theirs[name]) or not value.any(), name
    before = source.read()
    assert before is not None
    assert record["identity"]["pretraining"] == before["identity"]
    assert "recurrent layers of " + source.run_id in folder.log.read_text(encoding="utf-8")


def test_the_pretraining_is_done_once_and_its_command_is_its_own(short_config) -> None:
    train(short_config(*QUICK), [])
    (source,) = [
        r for r in all_runs(Path(short_config()["runs_dir"])) if "pretraining" not in r.read()
    ]
    written = source.record.stat().st_mtime_ns
    train(short_config(*QUICK, "optimizer.lr=0.001"), [])
    assert source.record.stat().st_mtime_ns == written
    record = source.read()
    assert record is not None
    assert record["command"].startswith("eleatt-bench train experiment=digits quick=true ")
    assert "model.hidden_size=8" in record["overrides"]


def test_a_finished_run_needs_its_pretraining_no_more(short_config) -> None:
    folder, record = train(short_config(*QUICK), [])
    for run in all_runs(Path(short_config()["runs_dir"])):
        if run.run_id != folder.run_id:
            run.clear()
    assert train(short_config(*QUICK), [])[1] == record


@pytest.mark.slow
def test_a_pretraining_that_is_here_without_weights_is_trained_again_by_its_own_command(
    short_config,
) -> None:
    """Before anything is trained or planned; ``force`` would train this run anew, not that one."""
    folder, record = train(short_config(*QUICK), [])
    source = RunFolder(folder.path.parent, record["pretraining"])
    shutil.rmtree(source.checkpoints)  # as in results/
    said = f"{source.run_id}, .* without them: .*train experiment=digits.* force=true"
    for other in ("optimizer.lr=0.001", "force=true"):
        with pytest.raises(UserError, match=said):
            train(short_config(*QUICK, other), [])
    settings = _settings(short_config(*QUICK))
    with pytest.raises(UserError, match=f"Job 2 of 2, optimizer.lr=0.001: {said}"):
        plan_jobs("train", [settings, [*settings, "optimizer.lr=0.001"]])
    assert folder.read() == record
    assert train(short_config(*QUICK), [])[1] == record


@pytest.mark.slow
def test_a_pretraining_whose_weights_are_damaged_is_trained_again_by_its_own_command(
    short_config,
) -> None:
    folder, record = train(short_config(*QUICK), [])
    source = RunFolder(folder.path.parent, record["pretraining"])
    (source.checkpoints / "best.ckpt").write_bytes(b"PK")
    said = r"cannot be read \(.*\)\. Train that run again first: .*experiment=digits.* force=true"
    with pytest.raises(UserError, match=f"{source.run_id}.*{said}"):
        train(short_config(*QUICK, "force=true"), [])
    assert folder.read() == record, "nothing is removed for a run that cannot begin"


def _settings(config: dict[str, Any]) -> list[str]:
    return [
        *QUICK, "experiment=digits", "model.hidden_size=8", "data.batch_size=200",
        f"data_dir={config['data_dir']}", f"runs_dir={config['runs_dir']}",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_that_continues_keeps_its_own_weights(short_config) -> None:
    folder, record = train(short_config(*QUICK), [])
    folder.record.unlink()
    expected = weights(folder)
    _, again = train(short_config(*QUICK), [])
    assert again["timing"]["resumed_after_epoch"] == 2
    assert again["metrics"] == record["metrics"]
    assert all(torch.equal(v, expected[k]) for k, v in weights(folder).items())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["model.hidden_size=9"], "weight_ih_l0 is 24 × 8 there and 27 × 8 here"),
        (["model.num_layers=2"], "_l1 is absent there and (8|24) "),
        (["model=gru"], "weight_ia_l0 is 8 × 8 there and absent here"),
    ],
)
@pytest.mark.few(1)
def test_layers_that_do_not_fit_are_refused_in_words(
    short_config, options: list[str], says: str
) -> None:
    config = short_config("quick=true")
    source, _ = train(config, [])
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    other = build(short_config("quick=true", *options), store)[1]
    with pytest.raises(UserError, match=says):
        begin_with(other, source)


def test_weights_of_another_epoch_than_the_tested_one_are_refused(short_config) -> None:
    """Whoever asks for them: the next run, a file to be published, a notebook, a picture."""
    config = short_config("quick=true", "optimizer.lr=0.1", "trainer.selection=last")
    source, record = train(config, [])
    assert record["epochs"] == 2
    (source.checkpoints / "previous.ckpt").replace(source.checkpoints / "last.ckpt")
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    runs, data = Path(config["runs_dir"]), Path(config["data_dir"])
    for use in (
        lambda: begin_with(build(config, store)[1], source),
        lambda: write_weights(runs / "weights", runs, source.run_id, data),
        lambda: network(source, "last", data),
        lambda: attention_to(config, store, source, [0], 0),
    ):
        with pytest.raises(UserError, match="epoch 1, not of epoch 2"):
            use()


def test_a_finished_run_lends_its_weights_while_another_looks_at_it(short_config) -> None:
    """Of two runs that waited for it one still holds its lock when the other begins."""
    config = short_config("quick=true")
    source, _ = train(config, [])
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    with source.held(on_wait="", wait=False):
        assert source.status() == "running"
        begin_with(build(config, store)[1], source)


def test_a_run_that_is_trained_again_lends_no_weights_meanwhile(short_config) -> None:
    config = short_config("quick=true")
    source, record = train(config, [])
    source.write({**record, "status": "running"})
    store = catalog.open_store(Path(config["data_dir"]), "digits")
    with pytest.raises(UserError, match="is not finished"):
        begin_with(build(config, store)[1], source)


def test_weights_that_have_learnt_from_what_is_tested_are_refused(short_config) -> None:
    """Two data sets that share sequences: those of the one's training are the other's test."""
    random = np.random.default_rng()
    prepared = Path(short_config()["data_dir"]) / "prepared"
    frames = [random.normal(size=(3, 66)).astype(np.float32) for _ in range(8)]
    for name, about in (("dhg", "subject"), ("shrec17", "split")):
        options = {"class_names": [f"c{n}" for n in range(14)], "layout": {}, "source": "made up"}
        samples = (
            Sample(f"{name} {n}", one, n % 14,
                   {"label_28": n, about: 1 + n % 2 if about == "subject" else n // 4})
            for n, one in enumerate(frames)
        )  # fmt: skip
        write_store(prepared / f"{name}.h5", name=name, samples=samples, **options)
    said = ["experiment=dhg", "pretraining=shrec17", "quick=true"]
    config = short_config(*said)
    said += [f"{folder}={config[folder]}" for folder in ("data_dir", "runs_dir")]
    with pytest.raises(
        UserError,
        match=r"pretraining=shrec17 learns from 2 of the 4 sequences that this run tests on, such "
        r"as dhg \d: choose",
    ):
        train(config, [])
    with pytest.raises(UserError, match=r"Job 1 of 2.*learns from 2 of the 4"):  # nor is it begun
        plan_jobs("train", [[*said, f"seed={seed}"] for seed in (0, 1)])
    assert all_runs(Path(config["runs_dir"])) == []


@pytest.mark.slow
def test_weights_that_have_learnt_from_what_is_validated_on_are_refused(
    tmp_path: Path, monkeypatch, short_config
) -> None:
    """Of one data set, only a pre-training in the same protocol has the same validation samples."""
    for name, protocol in (("dev", "cross_view_dev"), ("same", "cross_view")):
        (tmp_path / "experiment").mkdir(exist_ok=True)
        text = f"# @package _global_\ndefaults: [nucla]\ndata: {{protocol: {protocol}}}\n"
        (tmp_path / "experiment" / f"{name}.yaml").write_text(text)
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    config = short_config()
    random = np.random.default_rng()
    frames = [random.normal(size=(3, 60)).astype(np.float32) for _ in range(12)]
    samples = (
        Sample(f"nucla {n}", one, n % 2, {"camera": 1 + n % 3}) for n, one in enumerate(frames)
    )
    write_store(
        tmp_path / "data" / "prepared" / "nucla.h5", name="nucla", samples=samples,
        class_names=["no", "yes"], layout={}, source="made up",
    )  # fmt: skip
    said = ["experiment=nucla", "quick=true", "data.val_fraction=0.75"]
    said += [f"{folder}={config[folder]}" for folder in ("data_dir", "runs_dir")]
    plan_jobs("train", [[*said, "pretraining=same"]])
    with pytest.raises(
        UserError,
        match=r"pretraining=dev learns from 1 of the 6 sequences that this run validates on, such "
        r"as nucla \d+: choose one on nucla with data.protocol=cross_view, which leaves them out",
    ):
        plan_jobs("train", [[*said, "pretraining=dev"]])
    plan_jobs("train", [[*said, "pretraining=dev", "data.val_seed=1"]])


def test_an_unknown_experiment_is_named(short_config) -> None:
    with pytest.raises(UserError, match="Did you mean 'digits'"):
        train(short_config("pretraining=digit"), [])


def test_a_rehearsal_is_short_and_says_so_everywhere(short_config) -> None:
    config = short_config("quick=true", "trainer.max_epochs=40")
    folder, record = train(config, [])
    assert folder.run_id.startswith("quick-digits-")
    assert record["identity"]["quick"] is True
    assert record["epochs"] == 2
    assert record["samples"] == {"train": 64, "val": 64, "test": 64}
    kept = OmegaConf.load(folder.config)
    assert (kept.quick, kept.trainer.max_epochs, kept.data.limit) == (True, 2, 64)
