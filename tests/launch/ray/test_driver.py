"""What is sent to Ray with a job; a stand-in takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.cluster import Lease
from eleatt_bench.launch.ray.driver import Ray
from eleatt_bench.launch.ray.worker import Work

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
    more: dict[str, Any] = {"variables": {"WANDB_API_KEY": "its own"}, "say": print}
    with Ray(cluster, LEASE, retries=0, most=None, journal=None, **more) as engine:
        engine.start(Job(("train",), "", tmp_path / "job.log"))
    (remote,) = cluster.ray.remote.return_value.return_value.options.return_value.remote.mock_calls
    (work,) = remote.args
    assert isinstance(work, Work)
    assert work.variables["MLFLOW_TRACKING_PASSWORD"] == "secret"
    assert work.variables["WANDB_API_KEY"] == "its own", "as launcher.env says"
    assert "MLFLOW_TRACKING_TOKEN" not in work.variables
    environment = cluster.ray.remote.call_args.kwargs["runtime_env"]
    assert "secret" not in str(environment), "everybody sees that who looks at Ray"
