"""Ctrl-C and SIGTERM: within a step, with the last epoch's checkpoint, and the run continues."""

from __future__ import annotations

import os
import signal
import time

import pytest

EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", EXIT, ids=lambda number: number.name)
def test_it_stops_at_once_and_continues(work, undisturbed, assert_same, number) -> None:
    pid = work.start()
    deadline = time.monotonic() + 30
    while not (work.folder / "output.txt").exists() or "epoch 2/" not in work.output:
        assert time.monotonic() < deadline, work.output
        time.sleep(0.01)
    os.kill(pid, number)
    asked = time.monotonic()
    assert work.wait() == EXIT[number], work.output
    assert time.monotonic() - asked < 2  # a run of five epochs takes longer than one step of it
    assert "Traceback" not in work.output
    assert work.run.status() == "interrupted"
    assert work.do() == 0, work.output
    record = work.run.read()
    assert record is not None
    assert record["timing"]["resumed_after_epoch"] >= 1
    assert_same(work, undisturbed)
