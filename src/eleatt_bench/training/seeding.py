"""Random numbers that depend on (seed, epoch) alone, never on what was drawn before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int, epoch: int | None = None) -> None:
    """Seed Python, NumPy and torch for the start of ``epoch`` (None: before the first one).

    Every epoch starts from a state of its own, so a run that was killed and resumed draws
    exactly what an undisturbed one draws.
    """
    entropy = [seed, 0 if epoch is None else epoch + 1]
    state = np.random.SeedSequence(entropy).generate_state(2)
    torch.manual_seed(int(state[0]) << 32 | int(state[1]))
    np.random.seed(int(state[0]))
    random.seed(int(state[1]))


@contextmanager
def own_randomness() -> Iterator[None]:
    """What is drawn in here, for weights that are replaced at once, changes nobody's numbers."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)
