"""From a list of overrides to jobs: how many at once, on what, with which command lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.schema import LauncherConfig, TrainerConfig
from eleatt_bench.launch import jobs as hydra
from eleatt_bench.launch import process
from eleatt_bench.launch.jobs import Entry
from eleatt_bench.launch.pool import JobResult

PRINTS = """
import os, sys
print("LINE", *sys.argv[1:])
print("LEASE", os.environ["ELEATT_NUM_THREADS"], os.environ.get("CUDA_VISIBLE_DEVICES"))
sys.exit("seed=13" in sys.argv)
"""

Configure = Callable[..., DictConfig]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """Hydra's config of a sweep on a host of 8 cores; a job only says what it was given."""
    monkeypatch.setattr(
        process, "command", lambda arguments: [sys.executable, "-c", PRINTS, *arguments]
    )
    monkeypatch.setattr(hydra, "available_cores", lambda: 8)

    def made(visible: str = "", sources: tuple[tuple[str, str], ...] = (), **trainer) -> DictConfig:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return OmegaConf.create(
            {
                "launcher": OmegaConf.structured(LauncherConfig(name="local", warm=False)),
                "trainer": OmegaConf.merge(OmegaConf.structured(TrainerConfig), trainer),
                "hydra": {
                    "job": {"name": "train"},
                    "sweep": {"dir": str(tmp_path / "sweep")},
                    "runtime": {
                        "config_sources": [{"provider": p, "path": at} for p, at in sources]
                    },
                },
            }
        )

    return made


def entries(*overrides: list[str]) -> list[Entry]:
    return [Entry(one) for one in overrides]


def said(folder: Path, index: int) -> tuple[str, list[str]]:
    """The command line of a job, and its threads and devices."""
    line, lease = (folder / "sweep" / f"{index}.log").read_text(encoding="utf-8").splitlines()
    return line.removeprefix("LINE "), lease.split()[1:]


def test_every_job_is_a_command_line_with_a_log_of_its_own(configure, tmp_path: Path) -> None:
    overrides = [["model=gru", "seed=0"], ["model=gru", "seed=1"]]
    returned = hydra.launch(configure(), entries(*overrides), initial_job_idx=5)
    assert [said(tmp_path, i)[0] for i in (5, 6)] == [
        "train model=gru seed=0",
        "train model=gru seed=1",
    ]
    assert [r.overrides for r in returned] == overrides
    assert all(r.status == JobStatus.COMPLETED and r.return_value is None for r in returned)


def test_no_jobs_are_no_work(configure, tmp_path: Path) -> None:
    assert hydra.launch(configure(), [], 0) == []
    assert not (tmp_path / "sweep").exists()


def test_the_users_config_folder_is_passed_on(configure, tmp_path: Path) -> None:
    config = configure(sources=(("main", "/configs"), ("command-line", "/mine")))
    hydra.launch(config, entries(["seed=0"]), 0)
    assert said(tmp_path, 0)[0] == "train --config-dir /mine seed=0"


def test_what_a_failed_job_was_needed_for_is_named(configure, tmp_path: Path) -> None:
    jobs = [Entry(["seed=13"]), Entry(["seed=1"], needs=0), Entry(["seed=2"])]
    with pytest.raises(UserError) as caught:
        hydra.launch(configure(), jobs, 0)
    message = str(caught.value)
    assert message.startswith("2 of 3 jobs failed")
    assert "seed=1: not started, because seed=13 failed, which it needs" in message
    assert not (tmp_path / "sweep" / "1.log").exists()
    assert said(tmp_path, 2)[0] == "train seed=2"


def test_failed_jobs_are_reported_after_all_have_run(configure, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        hydra.launch(configure(), entries(["m=1", "seed=13"], ["m=1", "seed=2"]), 0)
    message = str(caught.value)
    assert message.startswith("1 of 2 jobs failed")
    assert "seed=13: exit status 1" in message
    assert "again: eleatt-bench train m=1 seed=13" in message
    assert said(tmp_path, 1)[0] == "train m=1 seed=2"


@pytest.mark.parametrize(
    ("accelerator", "visible", "jobs", "per_device", "count", "expected", "threads"),
    [
        ("cpu", "", None, 1, 20, 8, 1),  # a core each
        ("cpu", "0,1", None, 1, 20, 8, 1),  # devices do not matter
        ("cpu", "", None, 1, 3, 3, 2),  # no more at once than there are
        ("cpu", "", 2, 1, 20, 2, 4),
        ("cpu", "", 12, 1, 20, 12, 1),  # the user may crowd the cores
        ("auto", "", None, 1, 20, 8, 1),
        ("gpu", "0,1", None, 1, 20, 2, 4),
        ("auto", "0,1", None, 3, 20, 6, 1),
        ("gpu", "0,1", 1, 3, 20, 1, 8),
        ("gpu", "0,1", 9, 2, 20, 4, 2),  # no more than a device serves
    ],
)
def test_how_many_run_at_once(
    configure, monkeypatch, accelerator, visible, jobs, per_device, count, expected, threads
) -> None:
    asked = {}

    def run_jobs(jobs, **options):
        asked.update(options)
        return [JobResult(job, 0, 1.0) for job in jobs]

    monkeypatch.setattr(hydra, "run_jobs", run_jobs)
    config = configure(visible, accelerator=accelerator)
    config.launcher.jobs, config.launcher.jobs_per_device = jobs, per_device
    hydra.launch(config, entries(*([f"seed={i}"] for i in range(count))), 0)
    assert (asked["num_jobs"], asked["threads_per_job"]) == (expected, threads)


def test_devices_are_leased(configure, tmp_path: Path) -> None:
    hydra.launch(configure("3,GPU-7", accelerator="gpu"), entries(["seed=0"], ["seed=1"]), 0)
    leases = [said(tmp_path, i)[1] for i in range(2)]
    assert leases == [["4", "3"], ["4", "GPU-7"]]


def test_jobs_of_several_devices_have_them_all_one_after_the_other(
    configure, tmp_path: Path, capsys
) -> None:
    config = configure("3,4", accelerator="gpu", devices=2)
    hydra.launch(config, entries(["seed=0"], ["seed=1"]), 0)
    assert [said(tmp_path, i)[1] for i in range(2)] == [["8", "3,4"]] * 2
    words = [line.split()[1] for line in capsys.readouterr().out.splitlines()[:4]]
    assert words == ["started", "done"] * 2
