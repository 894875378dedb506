"""However arrays come, no more of their tasks run at once than the sweep may have."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.launch.slurm.lanes import Lanes


def most_at_once(sizes: list[int], limits: list[int], after: list[set[int]], seed: int) -> int:
    """Run arrays as SLURM may: any task of an array whose time has come, as long as it may."""
    chance, most = random.Random(seed), 0
    waiting, running = sizes[:], [0] * len(sizes)
    while any(waiting) or any(running):
        over = {k for k, size in enumerate(waiting) if not size and not running[k]}
        free = [k for k, size in enumerate(waiting)
                if size and running[k] < limits[k] and after[k] <= over]  # fmt: skip
        busy = [k for k, count in enumerate(running) if count]
        assert free or busy, "nothing can ever run"
        if free and (not busy or chance.random() < 0.8):
            chosen = chance.choice(free)
            waiting[chosen] -= 1
            running[chosen] += 1
        else:
            running[chance.choice(busy)] -= 1
        most = max(most, sum(running))
    return most


@given(
    st.integers(1, 9), st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=6), max_size=4),
    st.integers(0, 99),
)  # fmt: skip
def test_the_limit_holds_over_all_arrays(parallel: int, rounds: list[list[int]], seed: int) -> None:
    sizes, limits, after = list[int](), list[int](), list[set[int]]()
    before: set[str] = set()
    for arrays in rounds:
        lanes = Lanes(parallel, len(arrays), before)
        for number, size in enumerate(arrays):
            limit, waits = lanes.of(number)
            lanes.add(number, str(len(sizes)))
            sizes.append(size)
            limits.append(int(limit.removeprefix("%")))
            ids = waits[0].removeprefix("afterany:").split(":") if waits else []
            after.append({int(one) for one in ids})
        before = lanes.last
    assert most_at_once(sizes, limits, after, seed) <= parallel
    assert all(limit >= 1 for limit in limits)


def test_one_array_has_all_and_no_limit_says_nothing() -> None:
    assert Lanes(7, 1, []).of(0) == ("%7", [])
    assert Lanes(7, 2, ["30", "4"]).of(0) == ("%4", ["afterany:4:30"])
    assert Lanes(7, 2, []).of(1) == ("%3", [])
    assert Lanes(None, 3, ["4"]).of(2) == ("", [])
