"""What is free, and what is promised of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.common import parallel
from eleatt_bench.launch import devices as memory
from eleatt_bench.launch.devices import Budget, free_device_memory, free_memory


@given(st.integers(0, 50), st.lists(st.one_of(st.none(), st.integers(0, 60)), max_size=30))
def test_no_more_is_promised_than_is_free_unless_to_one_alone(free: int, asked: list) -> None:
    budget, inside = Budget(free), []
    for index, one in enumerate(asked):
        if budget.admits(one):
            budget.promise(one)
            inside.append(one)
            assert len(inside) == 1 or one is None or sum(i or 0 for i in inside) <= free
        elif inside and index % 2:
            budget.give_back(inside.pop())
    for one in inside:
        budget.give_back(one)
    assert budget.admits(10**9)


def test_where_nobody_knows_everything_is_admitted() -> None:
    budget = Budget(None)
    budget.promise(10**15)
    assert budget.admits(10**15)


def test_what_linux_says_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "_MEMINFO", said)
    monkeypatch.setattr(memory, "control_groups", list)
    assert free_memory() is None
    said.write_text("MemTotal:       24576 kB\nMemFree:         100 kB\nMemAvailable:    2048 kB\n")
    assert free_memory() == 2 << 20


def test_a_container_may_take_less_than_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said, group = tmp_path / "meminfo", tmp_path / "above" / "group"
    said.write_text("MemAvailable:    2048 kB\n")
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/above/group\n")
    monkeypatch.setattr(memory, "_MEMINFO", said)
    monkeypatch.setattr(parallel, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(parallel, "_CGROUPS", tmp_path)
    assert free_memory() == 2 << 20

    def limit(group: Path, most: int | str, taken: int, files: int) -> None:
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{taken}\n")
        of_files = f"inactive_file {files - 1}\nactive_file 1\n"
        (group / "memory.stat").write_text(f"anon 0\nfile {10 * files}\n{of_files}")

    limit(group, "max", 10**9, 10**6)
    assert free_memory() == 2 << 20
    limit(group.parent, 5000, 4000, 100)
    assert free_memory() == 1100, "what is kept of files gives way"
    limit(group, 3000, 2900, 50)
    assert free_memory() == 150
    limit(group, 3000, 3200, 50)
    assert free_memory() == 0


def test_what_the_driver_says_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0, GPU-aa, 1024\necho 1, GPU-bb, [N/A]\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert free_device_memory() == {"0": 1 << 30, "GPU-aa": 1 << 30}
    program.unlink()
    assert free_device_memory() == {}
