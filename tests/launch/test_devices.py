"""What a host can lend."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch import devices
from eleatt_bench.launch.devices import DevicePool, free_device_memory, visible_devices


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("0", ["0"]),
        ("2, 5", ["2", "5"]),
        ("GPU-ab", ["GPU-ab"]),
        ("-1", []),
        ("1,-1,0", ["1"]),
    ],
)
def test_visible_devices_are_those_that_were_chosen(monkeypatch, value, expected) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_devices() == expected


def test_otherwise_the_driver_is_asked(monkeypatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    answer = 'case "$*" in *=uuid*) echo GPU-aa; echo GPU-bb ;; esac'
    program.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "nothing")
    assert visible_devices() == ["GPU-aa", "GPU-bb"], "CUDA may number them in another order"
    program.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    assert visible_devices() == []
    program.unlink()
    assert visible_devices() == []
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)  # it is there
    program.write_text("#!/bin/sh\necho No devices were found\nexit 6\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert visible_devices() == []
    program.unlink()
    with pytest.raises(UserError, match=r"name them in CUDA_VISIBLE_DEVICES.* trainer=cpu$"):
        visible_devices()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []


@pytest.mark.parametrize("status", [14, 15])
def test_devices_that_are_listed_count_whatever_nvidia_smi_warns_of(
    monkeypatch, tmp_path: Path, status: int
) -> None:
    program = tmp_path / "nvidia-smi"
    lost = "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost."
    answer = (
        'case "$*" in *=uuid*) echo GPU-aa; echo GPU-bb ;; '
        '*) echo "0, GPU-aa, 1024"; echo "1, GPU-bb, 2048" ;; esac'
    )
    program.write_text(f"#!/bin/sh\necho '{lost}'\n{answer}\nexit {status}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)
    assert visible_devices() == ["GPU-aa", "GPU-bb"]
    assert free_device_memory()["GPU-bb"] == 2 << 30
    program.write_text(f"#!/bin/sh\necho '{lost}'\nexit {status}\n", encoding="utf-8")
    with pytest.raises(UserError, match="or lists none: name them in CUDA_VISIBLE_DEVICES"):
        visible_devices()
    assert free_device_memory() == {}


def take(pool: DevicePool, expected: int | None = None) -> str | None:
    device = pool.find(expected)
    if device is not None:
        pool.lease(device, expected)
    return device


def test_the_pool_lends_evenly_and_refuses_when_all_is_lent() -> None:
    pool = DevicePool(["a", "b"], jobs_per_device=2)
    leased = [take(pool) for _ in range(4)]
    assert set(leased[:2]) == {"a", "b"}
    assert leased.count("a") == leased.count("b") == 2
    assert take(pool) is None
    with pytest.raises(RuntimeError):
        pool.lease("a")
    pool.give_back("b")
    assert take(pool) == "b"


def test_a_device_is_lent_as_long_as_there_is_memory() -> None:
    pool = DevicePool(["a", "b"], jobs_per_device=3, free={"a": 100, "b": 50})
    assert {take(pool, 40), take(pool, 40)} == {"a", "b"}
    assert take(pool, 60) == "a"
    assert take(pool, 20) is None
    assert take(pool) == "b", "of a job of which nothing is known nothing is asked"
    pool.give_back("a", 40)
    assert take(pool, 40) == "a"
    alone = DevicePool(["a"], jobs_per_device=2, free={"a": 100})
    assert take(alone, 1000) == "a", "it may need less than expected"
    assert take(alone, 1) is None
