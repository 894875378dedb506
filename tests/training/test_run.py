"""Whole runs on the digits: what they leave, how they continue, when they are not repeated."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eleatt_bench.api.networks import network
from eleatt_bench.common.errors import UserError
from eleatt_bench.config.compose import compose_config
from eleatt_bench.data import catalog
from eleatt_bench.data.sources import digits
from eleatt_bench.nn.backends import resolve_backend
from eleatt_bench.nn.layers import EleAttGRU
from eleatt_bench.runs.form import RESULT
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.sweeps.grid import plan_jobs
from eleatt_bench.training import checkpoints, classifier, run
from eleatt_bench.training.run import evaluate, keep_evaluation, train

from .conftest import weights

SHORT = [
    "experiment=digits", "model.hidden_size=8", "data.batch_size=200", "trainer.num_threads=1",
]  # fmt: skip


def assert_same_run(one: RunFolder, two: RunFolder) -> None:
    """Bit-identical weights and predictions, equal metrics."""
    for name in ("last", "best"):
        a, b = weights(one, name), weights(two, name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    with h5py.File(one.predictions) as a, h5py.File(two.predictions) as b:
        assert np.array_equal(a["logits"][:], b["logits"][:])
    ra, rb = one.read(), two.read()
    assert ra is not None
    assert rb is not None
    assert ra["metrics"] == rb["metrics"]
    assert (ra["epochs"], ra["best_epoch"]) == (rb["epochs"], rb["best_epoch"])


@pytest.fixture
def finished(once: Callable[..., Path], short_config, tmp_path: Path):
    """A run of its own for each test, which was trained once for all of them."""
    config = short_config()

    def make(folder: Path) -> None:
        train({**config, "runs_dir": str(folder)}, ["experiment=digits"])

    shutil.copytree(once("finished", make), tmp_path / "runs")
    (record,) = (tmp_path / "runs").glob("*/record.json")
    folder = RunFolder(tmp_path / "runs", record.parent.name)
    return folder, folder.read(), short_config


def test_a_run_leaves_everything_that_says_what_it_was(finished) -> None:
    folder, record, compose = finished
    assert record == folder.read()
    assert folder.status() == "finished"
    assert folder.run_id.startswith("digits-eleatt_gru-seed0-")
    for path in ("best.ckpt", "last.ckpt"):
        assert (folder.checkpoints / path).is_file()
    config = OmegaConf.to_container(OmegaConf.load(folder.config))
    assert config["model"]["hidden_size"] == 8
    assert config["model"]["cell"] == "gru"
    store = catalog.open_store(Path(compose()["data_dir"]), "digits")
    assert record["data_digest"] == store.content_digest
    assert record["attributes_digest"] == store.attributes_digest
    assert record["inputs_digest"] == store.inputs_digest
    assert record["overrides"] == ["experiment=digits"]
    assert record["command"] == "eleatt-bench train experiment=digits"
    assert record["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert record["seed"] == 0
    assert record["backend"] == resolve_backend("auto", "cpu")
    assert record["num_threads"] == 1
    assert sum(record["samples"].values()) == 1797
    assert record["epochs"] == 3
    assert 1 <= record["best_epoch"] <= 3
    # 3N(D+N+1) of the GRU, D(D+N+1) of the gate, 10 classes
    assert record["parameters"] == 3 * 8 * (8 + 8 + 1) + 8 * (8 + 8 + 1) + 10 * (8 + 1)
    assert record["timing"]["seconds_per_epoch"] > 0
    log = folder.log.read_text(encoding="utf-8")
    assert "epoch 3/3" in log
    assert record["command"] in log


def test_the_test_numbers_follow_from_the_predictions(finished) -> None:
    folder, record, compose = finished
    store = catalog.open_store(Path(compose()["data_dir"]), "digits")
    with h5py.File(folder.predictions) as file:
        logits, labels = file["logits"][:].astype(np.float64), file["label"][:]
        names = [name.decode() for name in file["name"][:]]
    test = np.flatnonzero(store.metadata["split"] == 1)
    assert names == [store.names[i] for i in test]
    assert np.array_equal(labels, store.labels[test])
    accuracy = np.mean(logits.argmax(1) == labels)
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = -np.mean(log_softmax[np.arange(len(labels)), labels])
    assert record["metrics"]["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-12)
    assert record["metrics"]["test"]["loss"] == pytest.approx(loss, rel=1e-6)


def test_the_best_weights_are_those_of_the_best_validation_accuracy(finished) -> None:
    folder, record, _ = finished
    events = EventAccumulator(str(folder.tensorboard))
    events.Reload()
    accuracies = [event.value for event in events.Scalars("val/accuracy")]
    best = max(range(3), key=lambda i: (accuracies[i], i))  # the later epoch on ties
    assert record["best_epoch"] == best + 1
    assert record["metrics"]["val"]["accuracy"] == pytest.approx(accuracies[best])


def test_a_finished_run_answers_from_its_record(finished) -> None:
    folder, record, compose = finished
    before = folder.record.stat().st_mtime_ns
    again, answer = train(compose(), [])
    assert again.path == folder.path
    assert answer == record
    assert folder.record.stat().st_mtime_ns == before


def test_answering_from_the_record_imports_no_torch(finished, tmp_path: Path) -> None:
    _, record, _ = finished
    code = (
        "import sys; from eleatt_bench.cli import main; code = main(sys.argv[1:]);"
        "sys.exit('torch was imported' if 'torch' in sys.modules else code)"
    )
    command = [
        "train", *SHORT, "trainer.max_epochs=3",
        f"data_dir={tmp_path / 'data'}", f"runs_dir={tmp_path / 'runs'}",
    ]  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{record['metrics']['test']['accuracy']:.2%}" in done.stdout
    assert time.perf_counter() - started < 20  # a run takes longer even where this is slow


def test_a_line_is_left_of_every_epoch(finished) -> None:
    folder, record, _ = finished
    with folder.epochs.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = rows[record["best_epoch"] - 1]
    for stage in ("train", "val"):
        for name, value in record["metrics"][stage].items():
            assert float(best[f"{stage}/{name}"]) == value, "to the last bit"
    assert {float(row["lr"]) for row in rows} == {0.005}
    seconds = [float(row["seconds"]) for row in rows]
    assert np.median(seconds) == pytest.approx(record["timing"]["seconds_per_epoch"], abs=1e-4)
    events = EventAccumulator(str(folder.tensorboard)).Reload()
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert [float(row[name]) for row in rows] == [e.value for e in events.Scalars(name)]


def test_force_trains_anew_to_the_same_weights(finished) -> None:
    folder, record, compose = finished
    old = weights(folder)
    stamp = folder.record.stat().st_mtime_ns
    _, again = train(compose("force=true"), [])
    assert folder.record.stat().st_mtime_ns > stamp
    assert again["metrics"] == record["metrics"]
    assert again["timing"]["resumed_after_epoch"] == 0
    new = weights(folder)
    assert all(torch.equal(old[key], new[key]) for key in old)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trainer=gpu", "No supported gpu backend found"),
        ("model.backend=triton", r"model\.backend: .*needs"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can do both")
def test_force_removes_nothing_for_a_run_that_cannot_begin(
    finished, setting: str, said: str
) -> None:
    folder, _, compose = finished
    before = contents(folder)
    with pytest.raises(UserError, match=said):
        train(compose("force=true", setting), [])
    assert contents(folder) == before


def contents(folder: RunFolder) -> dict[str, bytes]:
    files = (path for path in folder.path.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in files}


def test_another_seed_is_another_run_with_other_weights(finished) -> None:
    folder, _, compose = finished
    other, _ = train(compose("seed=1"), [])
    assert other.path != folder.path
    ours, theirs = weights(folder), weights(other)
    assert not torch.equal(ours["recurrent.weight_ih_l0"], theirs["recurrent.weight_ih_l0"])


def test_under_one_seed_gated_and_plain_networks_begin_with_the_same_cell(short_config) -> None:
    from eleatt_bench.training.fit import build

    def initial(model: str) -> dict[str, torch.Tensor]:
        config = short_config(f"model={model}")
        store = catalog.open_store(Path(config["data_dir"]), "digits")
        return build(config, store)[1].state_dict()

    plain_net, gated_net = initial("gru"), initial("eleatt_gru")
    assert set(gated_net) - set(plain_net) == {
        f"recurrent.{name}_l0" for name in ("weight_ia", "weight_ha", "bias_a")
    }
    assert all(torch.equal(plain_net[name], gated_net[name]) for name in plain_net)


@pytest.mark.parametrize(
    "options",
    [
        ["model=eleatt_gru", "model.dropout=0.5", "model.num_layers=2", "scheduler=plateau"],
        ["model=lstm", "data.bucket=true", "data.transforms.noise=0.1", "model.readout=mean"],
        ["model=rnn", "scheduler._target_=torch.optim.lr_scheduler.StepLR",
         "+scheduler.options.step_size=1", "trainer.precision=bf16-mixed"],
    ],
)  # fmt: skip
@pytest.mark.slow  # a quick one: tests/faults/test_signals.py
def test_a_killed_run_continues_to_bit_identical_weights(
    options: list[str], tmp_path: Path
) -> None:
    common = [*SHORT, *options, "trainer.max_epochs=6", f"data_dir={tmp_path / 'data'}"]
    undisturbed, _ = train(compose_config([*common, f"runs_dir={tmp_path / 'one'}"]), [])

    killed = [*common, f"runs_dir={tmp_path / 'two'}"]
    command = [sys.executable, "-m", "eleatt_bench", "train", *killed]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    folder = RunFolder(tmp_path / "two", undisturbed.run_id)
    while not _trained(folder, 2):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert folder.status() == "interrupted"
    with folder.epochs.open("a", encoding="utf-8") as file:
        file.write("6,half a li")  # as a kill in the middle of a write would leave
    time.sleep(1.1)  # event files are ordered by the second; a new process takes longer to start

    again, record = train(compose_config(killed), [])
    assert again.path == folder.path
    # The second epoch was reported; its checkpoint may or may not have been complete.
    assert record["timing"]["resumed_after_epoch"] >= 1
    assert_same_run(undisturbed, folder)
    lines = [run.epochs.read_text(encoding="utf-8").splitlines() for run in (undisturbed, folder)]
    assert len(lines[0]) == 7
    assert [[line.rpartition(",")[0] for line in of_run] for of_run in lines] == [
        [line.rpartition(",")[0] for line in lines[0]]
    ] * 2
    events = EventAccumulator(str(folder.tensorboard))
    events.Reload()
    for tag in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == ([record["best_epoch"]] if "result/" in tag else [1, 2, 3, 4, 5, 6]), tag
    assert len(events.Tensors("config/text_summary")) == 1


def test_a_run_that_another_commit_continues_is_of_both(
    finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record, compose = finished
    ((before, epochs),) = record["commits"]
    assert epochs == 3
    folder.record.unlink()
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    monkeypatch.setattr(checkpoints, "git_commit", lambda: "b" * 40)
    _, again = train({**compose(), "runs_dir": str(folder.path.parent)}, [])
    assert again["commits"] == [[before, 2], ["b" * 40, 1]]


def _trained(folder: RunFolder, epochs: int) -> bool:
    log = folder.log.read_text(encoding="utf-8") if folder.log.exists() else ""
    return f"epoch {epochs}/" in log


def test_a_run_that_diverges_says_so_and_is_recorded_as_failed(short_config) -> None:
    config = short_config("optimizer.lr=1e36", "trainer.gradient_clip_val=null", "model=rnn")
    with pytest.raises(UserError, match=r"diverged.*optimizer.lr"):
        train(config, [])
    (record,) = Path(config["runs_dir"]).glob("*/record.json")
    content = json.loads(record.read_text(encoding="utf-8"))
    assert content["status"] == "failed"
    assert "diverged" in content["error"]


def grow(layers: EleAttGRU, steps: Collection[int], what: float) -> None:
    """Let one number of a gradient be ``what`` in these steps."""
    done = itertools.count()

    def hook(gradient: torch.Tensor) -> torch.Tensor:
        return gradient.index_fill(0, torch.tensor(3), what) if next(done) in steps else gradient

    layers.bias_l0.register_hook(hook)


@pytest.mark.parametrize("limit", ["1.0", "null"])
@pytest.mark.parametrize("what", [math.inf, -math.inf, math.nan, 1e30])
@pytest.mark.few(2)
def test_a_gradient_that_outgrows_all_numbers_counts_as_zero(
    short_config, monkeypatch, capsys, what: float, limit: str
) -> None:
    """Of 11 steps of an epoch one is lost: the run goes on, and says so; of two it does not."""
    build = classifier.build_layers
    lost: list[int] = [5]

    def built(*arguments: Any) -> Any:
        grow(layers := build(*arguments), lost, what)
        return layers

    monkeypatch.setattr(classifier, "build_layers", built)
    said = ("data.batch_size=128", "trainer.max_epochs=1", f"trainer.gradient_clip_val={limit}")
    folder, record = train(short_config(*said), [])
    told = "1 of 11 gradients in epoch 1 had no finite norm and counted as zero"
    assert told in capsys.readouterr().out
    assert told in folder.log.read_text(encoding="utf-8")
    assert record["status"] == "finished"
    assert all(value.isfinite().all() for value in weights(folder).values())
    lost.append(7)
    with pytest.raises(UserError, match=r"2 of 11 gradients in epoch 1 .* the run diverged"):
        train(short_config(*said, "force=true"), [])


def test_a_damaged_checkpoint_is_named_and_force_mends_it(short_config) -> None:
    folder, record = train(short_config(), [])
    folder.record.unlink()
    for name in ("last.ckpt", "previous.ckpt"):
        (folder.checkpoints / name).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read.*force=true"):
        train(short_config(), [])
    _, again = train(short_config("force=true"), [])
    assert again["metrics"] == record["metrics"]


@pytest.mark.slow
def test_the_record_says_which_backend_ran_under_mixed_precision(short_config) -> None:
    _, record = train(short_config("trainer.precision=bf16-mixed"), [])
    assert (record["precision"], record["backend"]) == ("bf16-mixed", "equations")
    _, record = train(short_config("model.backend=equations"), [])
    assert record["backend"] == "equations"


@pytest.mark.slow
def test_the_last_epochs_weights_can_be_selected(short_config) -> None:
    folder, record = train(short_config("trainer.selection=last"), [])
    assert record["selection"] == "last"
    for checkpoint in ("last", "null"):
        _, result = evaluate(eval_config(folder, checkpoint, short_config()))
        assert result["checkpoint"] == "last"
        assert result["metrics"]["test"] == record["metrics"]["test"]


def test_data_that_were_prepared_anew_while_a_run_waited_are_refused(
    short_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name and record would say that it was trained on the data of before."""
    whole = run.wanted_run

    def wanted(*given: Any) -> Any:
        folder, this = whole(*given)
        data = {**this.identity["data"], "digest": "0" * 64}
        return folder, replace(this, identity={**this.identity, "data": data})

    monkeypatch.setattr(run, "wanted_run", wanted)
    config = short_config()
    with pytest.raises(UserError, match="prepared anew after this command began"):
        train(config, [])
    assert not list(Path(config["runs_dir"]).glob("*/record.json"))


def test_a_run_does_not_continue_by_frames_that_mean_something_else(finished) -> None:
    folder, record, compose = finished
    folder.write({**record, "status": "failed", "inputs_digest": "0" * 64})
    config = {**compose(), "runs_dir": str(folder.path.parent)}
    with pytest.raises(UserError, match=r"began, but other classes.*force=true"):
        train(config, [])
    _, again = train({**config, "force": True}, [])
    assert again["inputs_digest"] == record["inputs_digest"]


@pytest.mark.slow
def test_early_stopping_takes_a_tie_for_the_best(short_config) -> None:
    _, record = train(
        short_config("optimizer.lr=0", "trainer.max_epochs=9", "trainer.early_stopping=2"), []
    )
    # With a learning rate of 0 every epoch ties with the best so far, and the later one counts.
    assert record["epochs"] == 9
    assert record["best_epoch"] == 9


def test_eval_gives_what_the_run_recorded(finished) -> None:
    folder, record, compose = finished
    _, result = evaluate(eval_config(folder, "best", compose()))
    assert result["metrics"]["test"] == record["metrics"]["test"]
    keep_evaluation(folder, result)
    written = json.loads((folder.path / "eval-best.json").read_text(encoding="utf-8"))
    assert written == result


@pytest.mark.parametrize("status", ["pruned", "failed", "running"])
@pytest.mark.few(1)
def test_what_was_never_tested_is_not_tested_by_eval(finished, status: str) -> None:
    """Otherwise trials of a search would have test accuracies, of weights that nobody chose."""
    folder, record, compose = finished
    left = {key: value for key, value in record.items() if key not in RESULT}
    folder.write({**left, "status": status})
    said = "interrupted" if status == "running" else status
    refusal = rf"is {said}, and only finished runs are tested: eleatt-bench train .* continues it"
    for checkpoint in ("best", "last", "null"):
        with pytest.raises(UserError, match=refusal):
            evaluate(eval_config(folder, checkpoint, compose()))
        words = [f"run={folder.run_id}", f"checkpoint={checkpoint}"]
        with pytest.raises(UserError, match=refusal):
            plan_jobs("eval", [[*words, f"runs_dir={folder.path.parent}"]])
    with pytest.raises(UserError, match=refusal):
        network(folder, None, Path(compose()["data_dir"]))
    assert network(folder, "last", Path(compose()["data_dir"])), "for whom asks for these weights"


def test_eval_refuses_other_data(finished) -> None:
    folder, record, compose = finished
    folder.write({**record, "data_digest": "0" * 64})
    with pytest.raises(UserError, match="holds other data"):
        evaluate(eval_config(folder, "best", compose()))


@pytest.mark.parametrize("earlier", [False, True])
def test_eval_refuses_the_same_data_of_another_meaning(finished, earlier: bool) -> None:
    """A store made anew by other means: its arrays are the same, what they stand for is not."""
    folder, record, compose = finished
    key = "attributes_digest" if earlier else "inputs_digest"
    known = {key: value for key, value in record.items() if not key.endswith("s_digest")}
    folder.write({**known, key: "0" * 64})
    with pytest.raises(UserError, match="other classes, another layout or another origin"):
        evaluate(eval_config(folder, "best", compose()))


def test_what_classes_are_called_is_not_what_a_run_saw(finished) -> None:
    folder, record, compose = finished
    config = eval_config(folder, "best", compose())
    release = digits.read()
    names = tuple(f"a {name}" for name in release.class_names)
    catalog.write(Path(config["data_dir"]), "digits", replace(release, class_names=names))
    _, result = evaluate(config)
    assert result["metrics"]["test"] == record["metrics"]["test"]


def test_eval_refuses_a_run_of_another_recipe(finished) -> None:
    folder, record, compose = finished
    earlier = {**record["identity"], "recipe_version": 1}
    folder.write({**record, "identity": earlier})
    with pytest.raises(UserError, match=r"trained by recipe 1, this program has.*train it again: "):
        evaluate(eval_config(folder, "best", compose()))


def eval_config(folder: RunFolder, checkpoint: str, config):
    return compose_config(
        [
            f"run={folder.run_id}",
            f"checkpoint={checkpoint}",
            "trainer.num_threads=1",
            f"data_dir={config['data_dir']}",
            f"runs_dir={config['runs_dir']}",
        ],
        "eval",
    )
