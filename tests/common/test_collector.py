"""Where there is much and none of it is garbage, nothing walks it, then or afterwards."""

from __future__ import annotations

import gc

import pytest

from eleatt_bench.common.collector import without_collector


@pytest.mark.slow
def test_what_was_made_without_the_collector_counts_as_old_and_is_collected_still() -> None:
    with without_collector():
        assert not gc.isenabled()
        with without_collector():  # one in another
            pass
        assert not gc.isenabled()
        made = [[number] for number in range(5000)]
    assert gc.isenabled()
    assert any(one is made[-1] for one in gc.get_objects(generation=2))
    assert gc.get_freeze_count() == 0

    class Cycle:
        ended = 0

        def __del__(self) -> None:
            Cycle.ended += 1

    with without_collector():
        cycle = Cycle()
        cycle.itself = cycle  # type: ignore[attr-defined]
        del cycle
    gc.collect()
    assert Cycle.ended == 1
