"""Ctrl-C and SIGTERM: within a step, with the last epoch's checkpoint, and the run continues."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

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
    assert "Interrupted. The same command continues" in work.output
    assert time.monotonic() - asked < 2  # a run of five epochs takes longer than one step of it
    assert "Traceback" not in work.output
    assert work.run.status() == "interrupted"
    assert work.do() == 0, work.output
    record = work.run.read()
    assert record is not None
    assert record["timing"]["resumed_after_epoch"] >= 1
    assert_same(work, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_at_a_hundred_random_moments(work, undisturbed, assert_same) -> None:
    stops = runs = 0
    while stops < 100:
        number = random.choice(list(EXIT))
        pid = work.start()
        while not list(work.folder.glob("runs/*/record.json")):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1.2))
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        status = work.wait()
        assert status in (0, EXIT[number]), work.output
        assert "Traceback" not in work.output
        if status:
            stops += 1
            continue
        assert_same(work, undisturbed)
        work.clear()
        runs += 1
    assert work.do() == 0, work.output
    assert_same(work, undisturbed)
    print(f"{stops} signals, {runs + 1} runs finished after them")
