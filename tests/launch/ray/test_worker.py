"""A job in a worker of Ray's: with what environment; Ray is not needed for that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from eleatt_bench.launch import process
from eleatt_bench.launch.ray import worker
from eleatt_bench.launch.ray.worker import Work, run

TELL = "import json, os; print(json.dumps(dict(os.environ)))"


def test_a_job_knows_nothing_of_who_started_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "command", lambda arguments: [sys.executable, *arguments])
    monkeypatch.setattr(worker, "_devices", lambda: "")
    for name in ("ELEATT_RUNS", "ELEATT_CONFIGS", "ELEATT_SWEEP", "ELEATT_DATA"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("OTHER", "theirs")
    log = tmp_path / "job.log"
    work = Work(("-c", TELL), log, tmp_path, "run", 3, {"ELEATT_RUNS": "ours", "OWN": "ours"})
    assert run(work).status == 0
    found = json.loads(log.read_text(encoding="utf-8"))
    ours = {key: value for key, value in found.items() if key.startswith("ELEATT_")}
    assert ours == {
        "ELEATT_RUNS": "ours", "ELEATT_NUM_THREADS": "3", "ELEATT_IN_SWEEP": "1",
        "ELEATT_PLANNED_RUN": "run",
    }  # fmt: skip
    assert (found["OTHER"], found["OWN"]) == ("theirs", "ours")
