"""What is sent to Ray with a job, and what is noted of its end; a stand-in takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from eleatt_bench.launch.endings import started_file
from eleatt_bench.launch.journal import Journal
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.cluster import Lease
from eleatt_bench.launch.ray.driver import Ray
from eleatt_bench.launch.ray.worker import Ending, Place, Work

LEASE = Lease(1, 0, None, 1)


def test_what_opens_a_loggers_server_goes_with_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("WANDB_API_KEY", "key")
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    cluster = MagicMock()
    cluster.nodes.return_value = []
    cluster.lacks.return_value = ""
    cluster.fitted.return_value = LEASE
    cluster.ray.wait.return_value = ([], [])
    more: dict[str, Any] = {"variables": {"WANDB_API_KEY": "its own"}, "say": print}
    with Ray(cluster, LEASE, retries=0, most=None, journal=None, **more) as engine:
        engine.start(Job(("train",), "", tmp_path / "job.log"))
    (remote,) = (
        cluster.ray.remote.return_value.return_value.options.return_value.remote.call_args_list
    )
    (work,) = remote.args
    assert isinstance(work, Work)
    assert work.variables["MLFLOW_TRACKING_PASSWORD"] == "secret"
    assert work.variables["WANDB_API_KEY"] == "its own", "as launcher.env says"
    assert "MLFLOW_TRACKING_TOKEN" not in work.variables
    environment = cluster.ray.remote.call_args.kwargs["runtime_env"]
    assert "secret" not in str(environment), "everybody sees that who looks at Ray"


@pytest.mark.parametrize("answers", [True, False])
def test_the_journal_has_the_ends_of_jobs_that_ended_with_the_command(
    tmp_path: Path, answers: bool
) -> None:
    cluster, refs = MagicMock(), ["told", "late", "queued"]
    cluster.nodes.return_value = []
    cluster.lacks.return_value = ""
    cluster.fitted.return_value = LEASE
    for name in ("TaskCancelledError", "RayTaskError", "RuntimeEnvSetupError", "RayError"):
        setattr(cluster.ray.exceptions, name, type(name, (Exception,), {}))
    cluster.ray.remote.return_value.return_value.options.return_value.remote.side_effect = refs
    cluster.ray.wait.return_value = (["told"], ["late", "queued"])
    cluster.ray.get.return_value = Ending(-15, Place(1, "node", None))
    if not answers:
        cluster.ray.cancel.side_effect = ConnectionError
    journal = Journal(tmp_path / "jobs.jsonl")
    with Ray(
        cluster, LEASE, variables={}, retries=0, most=None, journal=journal, say=print
    ) as engine:
        for pid, name in enumerate(refs, 1):
            engine.start(job := Job(("train", name), name, tmp_path / f"{name}.log"))
            if name != "queued":
                place = {"pid": pid, "host": "node", "device": None}
                started_file(job.log_path).write_text(json.dumps(place))
    lines = (tmp_path / "jobs.jsonl").read_text(encoding="utf-8").splitlines()
    found = [(e["job"], e["event"], e.get("returncode")) for e in map(json.loads, lines)]
    assert found == [
        ("told", "started", None), ("told", "ended", -15 if answers else -9),
        ("late", "started", None), ("late", "ended", -9),
    ]  # fmt: skip
    cluster.leave.assert_called_once()
