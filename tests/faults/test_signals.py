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
@pytest.mark.few(1)
def test_it_stops_at_once_and_continues(work, undisturbed, assert_same, number) -> None:
    pid = work.start()
    deadline = time.monotonic() + 30
    while "epoch 2/" not in work.output:
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
def test_at_a_hundred_random_moments(work, hold_out) -> None:
    def stop() -> int:
        number = random.choice(list(EXIT))
        begun = work.folder.with_name(f"{work.folder.name}.begun")
        begun.unlink(missing_ok=True)
        pid = work.start()
        while not begun.exists():
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1.2))
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return EXIT[number]

    print(f"100 signals, {hold_out(stop)} runs finished after them")
