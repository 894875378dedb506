"""The memory of a training, which is in use as much after a thousand steps as after a few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PEAK = """
import re, sys
from pathlib import Path
from eleatt_bench.common.runtime import settle_libraries
settle_libraries()
from eleatt_bench.config.compose import compose_config
from eleatt_bench.training.run import train
train(compose_config(sys.argv[1:]), [])
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
"""A training, and the MiB that its process had at its peak."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is read from Linux's /proc")
def test_an_epoch_of_many_steps_takes_as_much_as_one_of_few(digits: Path, tmp_path: Path) -> None:
    def peak(samples: int) -> int:
        settings = [
            "experiment=digits", "model=eleatt_gru", "model.hidden_size=16", "data.batch_size=8",
            "data.transforms.resample=8000", "trainer.max_epochs=1", "trainer.num_threads=1",
            f"data.limit={samples}", f"data_dir={digits}", f"runs_dir={tmp_path / str(samples)}",
        ]  # fmt: skip
        command = [sys.executable, "-c", PEAK, *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
        return int(done.stdout.split()[-1])

    arrays = 4  # MiB of one of a step's: of 8 sequences of 8,000 frames, 16 states each
    few, many = 64, 1500
    assert peak(many) - peak(few) < arrays * (many - few) / 8 / 10
