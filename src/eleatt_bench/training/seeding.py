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
    exactly what an undisturbed one draws. Before the first epoch only weights are drawn, on the
    CPU, so no other device is touched or seeded.
    """
    entropy = [seed, 0 if epoch is None else epoch + 1]
    state = np.random.SeedSequence(entropy).generate_state(2)
    manual_seed = torch.default_generator.manual_seed if epoch is None else torch.manual_seed
    manual_seed(int(state[0]) << 32 | int(state[1]))
    np.random.seed(int(state[0]))
    random.seed(int(state[1]))


@contextmanager
def own_randomness() -> Iterator[None]:
    """Restore all random states after the body, which draws weights that are replaced at once."""
    python, numpy = random.getstate(), np.random.get_state()
    # Where CUDA is unused, asking for its states would start it on every GPU.
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if used else ()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
