"""What a command says of threads and memory before it computes."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

ARRAYS = """
import resource, sys
if sys.argv[1] == "settled":
    from eleatt_bench.common.runtime import settle_libraries
    settle_libraries()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in (40 << 20, 33 << 20, 1 << 20, 40 << 20):
    bytearray(size)
before = faults()
for _ in range(3):
    for size in (40 << 20, 33 << 20, 1 << 20):
        array = bytearray(size)
        assert not any(array[:: 1 << 19]), "it is zero, whatever was there"
        array[:: 1 << 12] = b"1" * len(array[:: 1 << 12])
        del array
print(faults() - before)
"""
PAGES = 3 * (74 << 20) // 4096


def faults(how: str, **more: str) -> int:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", ARRAYS, how],
        env=environment | more, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="needs glibc",
)
@pytest.mark.slow
def test_what_is_freed_is_used_again_unless_the_user_says_otherwise() -> None:
    assert faults("settled") < PAGES / 100
    assert faults("unsettled") > PAGES / 2
    assert faults("settled", MALLOC_TRIM_THRESHOLD_="131072") > PAGES / 2
    assert faults("settled", GLIBC_TUNABLES="glibc.malloc.trim_threshold=131072") > PAGES / 2


def test_threads_wait_as_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from eleatt_bench.common import runtime

    monkeypatch.setattr(runtime, "keep_memory", lambda: None)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    runtime.settle_libraries()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from eleatt_bench.common import runtime

    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: object())  # without mallopt, as musl
    runtime.settle_libraries()
    monkeypatch.setattr(runtime.sys, "platform", "darwin")
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: pytest.fail("it was looked for"))
    runtime.settle_libraries()
