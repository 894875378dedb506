"""What a run is in Python, held against its files."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import eleatt_bench as eb
from eleatt_bench.api.frames import Tables


def test_a_run_is_what_its_files_say(run: eb.LoadedRun) -> None:
    record = json.loads((run.path / "record.json").read_text(encoding="utf-8"))
    assert (run.id, run.status, run.record) == (record["run_id"], "finished", record)
    assert run.metrics["test/accuracy"] == record["metrics"]["test"]["accuracy"]
    assert run.config["model"]["hidden_size"] == run["model.hidden_size"] == 32
    assert (run["model.gate"], run["epochs"], run["quick"]) == ("sigmoid", 2, True)
    assert repr(run).startswith(f"<Run {run.id}: finished, test accuracy ")
    with pytest.raises(KeyError):
        run["model.size"]
    assert "model.gate" in run
    assert "model.size" not in run
    with pytest.raises(TypeError, match="not iterable"):
        list(run)


def test_curves_are_the_columns_of_the_file(run: eb.LoadedRun) -> None:
    with (run.path / "epochs.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    curves = run.curves()
    assert list(curves) == list(lines[0])
    for name, values in curves.items():
        assert values.tolist() == [float(line[name]) for line in lines]


def test_predictions_and_confusion_give_the_accuracy(run: eb.LoadedRun) -> None:
    found = run.predictions()
    assert found.names[0].startswith("digit_")
    assert found.logits.shape == (len(found.labels), len(found.class_names)) == (64, 10)
    accuracy = float(np.mean(found.logits.argmax(1) == found.labels))
    assert accuracy == run.metrics["test/accuracy"]
    confusion = run.confusion()
    assert confusion.trace() / confusion.sum() == accuracy
    assert confusion.sum(axis=1).tolist() == np.bincount(found.labels, minlength=10).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_network_says_of_the_data_what_it_said_when_tested(
    run: eb.LoadedRun, here: Path, batch_size: int
) -> None:
    network, data, tested = run.network(), run.data(), run.predictions()
    assert not network.training
    logits, names = [], []
    with torch.inference_mode():
        for batch in data.batches("test", batch_size):
            logits.append(network(batch.inputs, batch.lengths))
            names += [data.names[i] for i in batch.indices]
    assert names == tested.names.tolist()
    np.testing.assert_allclose(torch.cat(logits), tested.logits, rtol=1e-4, atol=1e-5)
    assert data.class_names == tested.class_names
    assert sum(map(len, data.indices.values())) == 3 * 64


def test_a_network_leaves_the_callers_random_numbers_alone(run: eb.LoadedRun, here: Path) -> None:
    def drawn() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(()))]

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = drawn()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    run.network("last")
    assert drawn() == expected


def test_runs_are_chosen_as_by_the_command(run: eb.LoadedRun, here: Path) -> None:
    (found,) = eb.load_runs()
    assert found.id == run.id == eb.load_run(run.id[:20]).id
    assert len(eb.load_runs(here, "model.gate=sigmoid", seed=0)) == 1
    assert len(eb.load_runs(here, seed=1)) == 0
    assert len(eb.load_runs(str(here), **{"model.hidden_size": 32}, status="failed")) == 0
    assert isinstance(eb.load_runs()[:1], eb.Runs)


def test_a_frame_has_a_row_for_each_run_and_numbers_are_numbers(
    run: eb.LoadedRun, here: Path
) -> None:
    pytest.importorskip("pandas", reason="pandas, of the extra frames, is not installed")
    frame = eb.load_runs().frame()
    assert frame.index.tolist() == [run.id]
    assert frame.loc[run.id, "test/accuracy"] == run.metrics["test/accuracy"]
    assert frame["epochs"].dtype.kind == "i"
    assert frame.sort_values("run").merge(frame, on="run")["run"].tolist() == [run.id]


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda run: eb.load_runs("nowhere"), "There is no folder nowhere"),
        (lambda run: eb.load_runs(None, "seed"), "'seed' is not a filter: write KEY=VALUE"),
        (lambda run: eb.load_runs(sed=0), "Unknown key 'sed'. Did you mean 'seed'"),
        (lambda run: eb.load_run("nucla"), "Unknown run 'nucla'"),
        (lambda run: run.network("first"), "Unknown checkpoint 'first'"),
        (lambda run: run.data().batches("tests"), "Unknown part 'tests'. Did you mean 'test'"),
        (lambda run: run.data(run.path / "log.txt"), "log.txt"),
        (lambda run: eb.train(["experiment=digitz"]), "Did you mean 'digits'"),
        (lambda run: eb.train("experiment=digits"), "Give a list of overrides"),
        (lambda run: eb.table("tabel4"), "Unknown table 'tabel4'. Did you mean 'table4'"),
    ],
)
def test_mistakes_are_the_sentences_of_the_command(
    run: eb.LoadedRun, here: Path, mistake, says
) -> None:
    with pytest.raises(eb.UserError) as error:
        mistake(run)
    assert says in str(error.value)


def test_damaged_files_are_named(run: eb.LoadedRun, here: Path, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / run.id)
    for name, act in {
        "predictions.h5": lambda run: run.predictions(),
        "config.yaml": lambda run: run.config,
        "checkpoints/best.ckpt": lambda run: run.network(),
    }.items():
        path = tmp_path / run.id / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + b"\0")
        with pytest.raises(eb.UserError, match=path.name):
            act(eb.load_run(run.id, tmp_path))
        path.write_bytes(whole)


def test_torch_is_imported_by_networks_alone(run: eb.LoadedRun, here: Path) -> None:
    code = (
        "import sys, eleatt_bench as eb\n"
        "run = eb.load_run(sys.argv[1]); run.curves(); run.confusion(); eb.load_runs()\n"
        "eb.table('digits', ['quick=true'])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, run.id], check=True)


def test_settings_that_came_later_have_the_values_that_earlier_runs_had(
    run: eb.LoadedRun, here: Path
) -> None:
    pytest.importorskip("pandas", reason="pandas, of the extra frames, is not installed")
    frame = eb.load_runs().frame()
    for key in ("loss.label_smoothing", "data.transforms.shift", "trainer.accumulate_grad_batches"):
        assert frame.loc[run.id, key] == run[key]


def test_a_frame_of_nothing_has_its_first_columns(run: eb.LoadedRun, here: Path) -> None:
    pytest.importorskip("pandas", reason="pandas, of the extra frames, is not installed")
    assert list(eb.load_runs(None, "status=failed").frame().columns) == ["run", "status"]
    assert "verdict" in Tables([]).claims()
    assert "mean" in Tables([]).cells()


def test_by_default_a_network_has_the_weights_that_were_tested(
    run: eb.LoadedRun, here: Path
) -> None:
    record = run.record
    folder = run._folder
    folder.write({**record, "selection": "last"})
    try:
        tested = eb.load_run(run.id).network().state_dict()
        last = run.network("last").state_dict()
    finally:
        folder.write(record)
    assert all((value == last[name]).all() for name, value in tested.items())
    with pytest.raises(eb.UserError, match="Unknown checkpoint 'lst'"):
        run.network("lst")
