"""``eleatt-bench ensemble`` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest

from eleatt_bench.cli import main
from eleatt_bench.runs.predictions import read_predictions

HALF = tuple((np.random.default_rng(3).random(60) < 0.6).tolist())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_it_is_the_mean_of_probabilities(folder: Path, finished_run, capsys) -> None:
    other = np.random.default_rng(1).integers(0, 2, len(HALF))  # no test of the same samples
    runs = [finished_run(folder, 0, HALF), finished_run(folder, 1, HALF, labels=other)]
    assert main(["ensemble", f"run={runs[0].run_id},{runs[1].run_id}"]) == 1
    assert "make no ensemble: they were not tested on the same samples" in capsys.readouterr().err
    runs[1] = finished_run(folder, 2, HALF, labels=read_predictions(runs[0]).labels)
    assert main(["ensemble", f"run={runs[0].run_id},{runs[1].run_id}"]) == 0
    read = [read_predictions(run) for run in runs]
    mean = np.mean([softmax(one.logits.astype(np.float64), axis=1) for one in read], axis=0)
    right = mean.argmax(axis=1) == read[0].labels
    ends = binomtest(int(right.sum()), 60).proportion_ci(0.95)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split("  ")[0] == "mean of 2"
    assert f"{right.mean():.2%}" in lines[3]
    assert f"{100 * ends.low:.2f} to {100 * ends.high:.2f}" in lines[3]
    gain = 100 * (right.mean() - read[0].right.mean())
    assert lines[5].startswith(f"mean − {runs[0].run_id}: {gain:+.2f} points, 95 % interval")


def test_what_makes_no_ensemble(folder: Path, finished_run, capsys) -> None:
    one, other = finished_run(folder, 0), finished_run(folder, 1)
    cases = {
        f"run={one.run_id}": "two different runs or more",
        f"run={one.run_id},{one.run_id}": "two different runs or more",
        f"run={one.run_id},nothing": "Unknown run 'nothing'",
        f"run={one.run_id},{other.run_id}": "left no predictions.h5: train it again",
    }
    other.predictions.unlink()
    for words, said in cases.items():
        assert main(["ensemble", words]) == 1
        assert said in capsys.readouterr().err
    other.write({**(other.read() or {}), "status": "failed"})
    assert main(["ensemble", f"run={one.run_id},{other.run_id}"]) == 1
    assert "is failed: only finished runs" in capsys.readouterr().err
