"""Killed with SIGKILL, before every call that could matter and at random moments; started again."""

from __future__ import annotations

import random
import re
import signal
import time

import pytest

from eleatt_bench.launch.guard import signal_group


def killed_at(work, number: int) -> bool:
    """Run, be killed before that call, run again; False where the run has no such call."""
    status = work.do(kill_at=number)
    if status == 0:
        return False
    assert status == -signal.SIGKILL, work.output
    assert work.do() == 0, work.output
    return True


@pytest.mark.slow
def test_before_a_call_that_touches_the_disk(work, undisturbed, assert_same) -> None:
    assert work.do() == 0, work.output
    found = re.search(r"calls: (\d+)", work.output)
    assert found, work.output
    work.clear()
    for number in random.sample(range(1, int(found[1])), 3):
        assert killed_at(work, number), f"call {number}"
        assert_same(work, undisturbed)
        work.clear()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_before_every_call_that_touches_the_disk(work, undisturbed, assert_same) -> None:
    number = 1
    while killed_at(work, number):
        assert_same(work, undisturbed)
        work.clear()
        number += 1
    print(f"killed before each of {number - 1} calls")
    assert number > 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_at_a_hundred_random_moments(work, hold_out) -> None:
    def kill() -> int:
        pid = work.start()
        time.sleep(random.uniform(0, 1.5))
        signal_group(pid, signal.SIGKILL)
        return -signal.SIGKILL

    print(f"100 kills, {hold_out(kill)} runs finished after them")
