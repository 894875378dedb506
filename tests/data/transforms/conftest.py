"""Skeletons of two bodies that come and go, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from eleatt_bench.config.transforms import TransformsConfig
from eleatt_bench.data.batches import Batch, Positions, SequenceDataset
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.transforms import Transforms

JOINTS = ["hip centre", "spine", "left shoulder", "right shoulder", "head"]
BONES = [[0, 1], [1, 2], [1, 3], [1, 4]]
LAYOUT = {
    "kind": "skeleton",
    "joints": [*JOINTS, *JOINTS],
    "bones": [*BONES, *([a + 5, b + 5] for a, b in BONES)],
    "origin": 1,
}
PRESENCE = [  # of body 1 and of body 2, frame by frame
    ("xxxxxxx", "xxxxxxx"),
    ("xxxxx", "....."),
    ("..xxx.x..", "xxx....xx"),
    ("x", "."),
    ("....", "xx.x"),  # no first body at all
    ("xxx.xxxxxxx", ".xxxx.xx..."),
    (".", "x"),
    ("xx", "x."),
]

MakeSkeletons = Callable[..., SequenceStore]
MakeTransforms = Callable[..., Transforms]
MakeBatch = Callable[..., Batch]
Points = Callable[[int], np.ndarray]


@pytest.fixture(scope="session")
def make_skeletons(make_store: Callable[..., SequenceStore]) -> MakeSkeletons:
    """A store with a sequence for each line of `PRESENCE`, two bodies of five joints."""

    def make(**changes: Any) -> SequenceStore:
        random = np.random.default_rng(5)
        samples = []
        for index, bodies in enumerate(PRESENCE):
            there = np.array([[letter == "x" for letter in body] for body in bodies]).T
            values = random.normal(0.5, 1, (*there.shape, 5, 3)) * there[:, :, None, None]
            frames = values.reshape(len(there), 30).astype(np.float32)
            samples.append(Sample(f"s{index}", frames, index % 2, {"camera": 1 + index % 3}))
        return make_store(samples=samples, **{"layout": LAYOUT, **changes})

    return make


@pytest.fixture(scope="session")
def skeletons(make_skeletons: MakeSkeletons) -> SequenceStore:
    return make_skeletons()


@pytest.fixture(scope="session")
def points(skeletons: SequenceStore) -> Points:
    """A sequence of ``skeletons`` as (T, 2, 5, 3), in float64."""
    return lambda index: skeletons.sequence(index).astype(np.float64).reshape(-1, 2, 5, 3)


@pytest.fixture(scope="session")
def transforms(skeletons: SequenceStore) -> MakeTransforms:
    """Transforms with the given values of ``data.transforms``; everything else is off."""

    def make(
        store: SequenceStore = skeletons,
        seed: int = 0,
        sequence: str = "frames",
        **changes: Any,
    ) -> Transforms:
        for name in ("rotation", "axis_scaling"):
            if name in changes:
                changes[name] = dict(zip("xyz", changes[name], strict=True))
        merged = OmegaConf.merge(OmegaConf.structured(TransformsConfig), changes)
        config = OmegaConf.to_container(merged, enum_to_str=True)
        return Transforms({"transforms": config, "sequence": sequence}, store, seed)

    return make


@pytest.fixture(scope="session")
def batch_of(skeletons: SequenceStore) -> MakeBatch:
    """A batch of the sequences ``indices`` of a store; by default all of them, in order."""

    def make(
        indices: Sequence[int] | None = None, epoch: int = 0, store: SequenceStore = skeletons
    ) -> Batch:
        everything = np.arange(len(store.labels))
        positions = everything if indices is None else np.array(indices, dtype=np.int64)
        return SequenceDataset(store, everything)[Positions(positions, len(positions), epoch)]

    return make
