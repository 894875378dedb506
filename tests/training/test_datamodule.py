"""From a store through the loader and the transforms into the network."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from eleatt_bench.config.composer import Composer
from eleatt_bench.data.batches import Positions, SequenceDataset
from eleatt_bench.data.sources import nucla
from eleatt_bench.data.store import Sample, SequenceStore
from eleatt_bench.data.writing import write_store
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.fit import build


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Forty sequences of 2 to 9 frames in the form of N-UCLA."""
    random = np.random.default_rng(0)
    samples = (
        Sample(
            f"s{index}",
            random.normal(size=(2 + index % 8, 60)).astype(np.float32),
            index % 10,
            {"subject": 1, "action": 1, "episode": 0, "camera": 1 + index % 3},
        )
        for index in range(40)
    )
    return write_store(
        tmp_path_factory.mktemp("store") / "nucla.h5",
        name="nucla",
        samples=samples,
        class_names=list(nucla.CLASSES.values()),
        layout=nucla.LAYOUT,
        source="a test",
    )


@cache
def composer() -> Composer:
    """One for all: each choice of groups is composed once."""
    return Composer()


def configured(*overrides: str) -> dict[str, Any]:
    return composer().config(["experiment=nucla", "model=gru", "model.hidden_size=8", *overrides])


def test_the_network_has_the_size_of_the_streams_it_sees(store: SequenceStore) -> None:
    config = configured(
        "data.transforms.streams=[joints,bones,velocities]", "data.transforms.resample=5"
    )
    data = SequenceDataModule(config["data"], store, config["seed"])
    assert data.input_size == 60 + 57 + 60
    network = SequenceClassifier(config, data.input_size, store.num_classes, data.transforms)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.predict_dataloader()):
        for batch in loader:
            seen = data.transforms(batch, training=False)
            assert seen.inputs.shape == (len(batch.labels), 5, 177)
            assert network(seen.inputs, seen.lengths).shape == (len(batch.labels), 10)


def augmented(store: SequenceStore, seed: int, epoch: int) -> dict[int, torch.Tensor]:
    """What the network sees of each training sample."""
    config = configured(
        "experiment=nucla_aug", "data.transforms.scaling=0.1", "data.batch_size=7",
        "data.val_seed=0", f"seed={seed}",
    )  # fmt: skip
    data = SequenceDataModule(config["data"], store, config["seed"])
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    found = {}
    for batch in loader:
        seen = data.transforms(batch, training=True)
        for index, row, length in zip(batch.indices, seen.inputs, seen.lengths, strict=True):
            found[int(index)] = row[:length]
    return found


def test_augmentation_follows_from_seed_and_epoch(store: SequenceStore) -> None:
    one, again = augmented(store, 0, 3), augmented(store, 0, 3)
    assert one.keys() == again.keys()
    assert all(torch.equal(one[index], again[index]) for index in one)
    for other in (augmented(store, 1, 3), augmented(store, 0, 4)):
        assert other.keys() == one.keys()
        assert not any(torch.equal(one[index], other[index]) for index in one)


def test_moving_a_batch_to_a_device_leaves_its_indices(store: SequenceStore) -> None:
    """Drawing must not wait for the device."""
    config = configured()
    data = SequenceDataModule(config["data"], store, config["seed"])
    batch = next(iter(data.train_dataloader()))
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved.inputs.is_meta
    assert moved.indices is batch.indices
    assert (moved.epoch, moved.batch_size_global) == (batch.epoch, batch.batch_size_global)


def test_labels_are_smoothed_while_training_alone(store: SequenceStore) -> None:
    config = configured("loss.label_smoothing=0.2", "model.dropout=0")
    data = SequenceDataModule(config["data"], store, config["seed"])
    network = SequenceClassifier(config, data.input_size, store.num_classes, data.transforms)
    batch = data.transforms(next(iter(data.train_dataloader())), training=False)
    logs = network(batch.inputs, batch.lengths).log_softmax(1)
    plain = -logs.gather(1, batch.labels[:, None]).squeeze(1)
    smoothed = 0.8 * plain - 0.2 * logs.mean(1)
    torch.testing.assert_close(network._observe(batch, "val"), plain)
    torch.testing.assert_close(network._observe(batch, "train"), smoothed)


def test_a_seed_is_that_of_everything_that_is_drawn(store: SequenceStore) -> None:
    """Of the validation set, of the order of the batches, of augmentation and of dropout."""
    batch = SequenceDataset(store, np.arange(8))[Positions(np.arange(8), 8, 0)]

    def drawn(seed: int) -> dict[str, Any]:
        config = configured(
            "data.transforms.noise=0.1", "model.dropout=0.5", "trainer.num_threads=1",
            f"seed={seed}",
        )  # fmt: skip
        data, network = build(config, store)
        order = list(data.train_dataloader().sampler)
        network.dropout.draw_for(batch)
        return {
            "validation set": data.split.val.tolist(),
            "order": np.concatenate([part.positions for part in order]).tolist(),
            "augmentation": network.transforms(batch, training=True).inputs.tolist(),
            "dropout": network.dropout(torch.ones(9, 8, 4), 0).tolist(),
        }

    first, other = drawn(0), drawn(1)
    assert drawn(0) == first
    assert [name for name in first if first[name] == other[name]] == []
