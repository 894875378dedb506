"""What a host can lend."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from eleatt_bench.launch.devices import DevicePool, available_cores, visible_devices


def test_available_cores_are_those_of_this_process() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("value", "devices"), [("", []), ("0", ["0"]), ("2, 5", ["2", "5"]), ("GPU-ab", ["GPU-ab"])]
)
def test_visible_devices_are_those_that_were_chosen(monkeypatch, value, devices) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_devices() == devices


def test_otherwise_the_driver_is_asked(monkeypatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == ["0", "1"]
    program.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    assert visible_devices() == []
    program.unlink()
    assert visible_devices() == []


def test_the_pool_lends_evenly_and_refuses_when_all_is_lent() -> None:
    pool = DevicePool(["a", "b"], jobs_per_device=2)
    leased = [pool.lease() for _ in range(4)]
    assert sorted(leased[:2]) == ["a", "b"]
    assert sorted(leased) == ["a", "a", "b", "b"]
    with pytest.raises(RuntimeError):
        pool.lease()
    pool.give_back("b")
    assert pool.lease() == "b"
