"""Which of the sequences a run sees."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.data.protocols import Split
from eleatt_bench.training.datamodule import limited


def whole(sizes: tuple[int, int, int], clean: bool) -> Split:
    train, val, test = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:2])
    return Split(train, val, test, test % 3 == 0 if clean else None)


@given(st.tuples(*[st.integers(1, 60)] * 3), st.integers(1, 40), st.booleans())
def test_a_limit_holds_in_each_part(sizes: tuple[int, int, int], limit: int, clean: bool) -> None:
    split = whole(sizes, clean)
    few = limited(split, limit)
    for part, size in zip(("train", "val", "test"), sizes, strict=True):
        chosen = getattr(few, part)
        assert len(chosen) == min(size, limit)
        assert (np.diff(chosen) > 0).all()
        assert np.isin(chosen, getattr(split, part)).all()
    if clean:
        assert few.clean is not None
        assert np.array_equal(few.clean, few.test % 3 == 0)
    else:
        assert few.clean is None
    again = limited(split, limit)
    assert all(np.array_equal(getattr(few, p), getattr(again, p)) for p in ("train", "val", "test"))


def test_without_a_limit_nothing_changes() -> None:
    split = whole((5, 2, 4), True)
    assert limited(split, None) is split
