"""Random numbers that nobody else notices."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from eleatt_bench.training.seeding import own_randomness, seed_everything


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_drawn_in_between_changes_nothing(fails: bool) -> None:
    seed_everything(3, 2)
    expected = drawn()
    seed_everything(3, 2)
    try:
        with own_randomness():
            seed_everything(4)
            drawn()
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert drawn() == expected


def test_no_gpu_is_started_or_told_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed would wait there for whoever uses it first, in the place of the user's own."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("get_rng_state", "set_rng_state", "manual_seed_all", "init"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("a GPU was touched"))
    with own_randomness():
        seed_everything(4)
