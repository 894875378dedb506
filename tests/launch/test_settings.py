"""How a sweep is laid out on a host: how many jobs at once, with what."""

from __future__ import annotations

from typing import Any

import pytest

from eleatt_bench.launch import settings
from eleatt_bench.launch.settings import one_device, pool_settings


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "available_cores", lambda: 8)


def config(
    accelerator: str, devices: int = 1, jobs: int | None = None, jobs_per_device: int = 1
) -> dict[str, Any]:
    return {
        "trainer": {"accelerator": accelerator, "devices": devices},
        "launcher": {"jobs": jobs, "jobs_per_device": jobs_per_device, "warm": False},
    }


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
    monkeypatch, accelerator, visible, jobs, per_device, count, expected, threads
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = pool_settings(config(accelerator, 1, jobs, per_device), count)
    assert (found["num_jobs"], found["threads_per_job"]) == (expected, threads)
    assert not found["warm"]


def test_devices_are_lent(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-7")
    devices = pool_settings(config("gpu"), 2)["devices"]
    assert devices is not None
    devices.lease("3")
    assert devices.find() == "GPU-7"
    assert pool_settings(config("cpu"), 2)["devices"] is None


def test_jobs_of_several_devices_have_them_all_one_after_the_other(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    of_two = config("gpu", devices=2)
    assert not one_device(of_two)
    found = pool_settings(of_two, 2)
    assert (found["num_jobs"], found["threads_per_job"], found["devices"]) == (1, 4, None)
