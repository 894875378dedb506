"""The jobs that train runs: pre-trainings first, and each knows whether its run is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from eleatt_bench.sweeps.grid import plan_jobs
from eleatt_bench.sweeps.jobs import training_jobs


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELEATT_DATA", raising=False)
    monkeypatch.delenv("ELEATT_RUNS", raising=False)


def test_pretrainings_come_first_each_once_and_finished_ones_not_at_all(
    tmp_path: Path, record_of
) -> None:
    asked = [
        ["experiment=digits", "model=gru", "pretraining=digits", "optimizer.lr=0.001"],
        ["experiment=digits", "model=gru", "pretraining=digits", "optimizer.lr=0.002"],
        ["experiment=digits", "model=lstm"],
        ["experiment=digits", "model=gru"],  # itself what the first two begin with
    ]
    runs = [one.run for one in plan_jobs("train", asked) if one.run is not None]
    runs_dir, logs = Path("runs"), tmp_path / "logs"
    jobs = training_jobs(runs, runs_dir, logs, 5, warm_ok=True)
    assert [job.run_id for job in jobs] == [runs[i].run_id for i in (3, 0, 1, 2)]
    assert [job.needs for job in jobs] == [None, jobs[0], jobs[0], None]
    assert [job.log_path for job in jobs] == [logs / f"{number}.log" for number in (5, 6, 7, 8)]
    assert not any(job.busy() for job in jobs if job.busy)

    before = runs[3].folder(runs_dir)
    with before.held():
        assert [job.busy() for job in jobs if job.busy] == [True, False, False, False]
    before.write(record_of(before.run_id, identity=runs[3].identity))
    jobs = training_jobs(runs[:2], runs_dir, logs, 0, warm_ok=True)
    assert [(job.run_id, job.needs) for job in jobs] == [(run.run_id, None) for run in runs[:2]]
