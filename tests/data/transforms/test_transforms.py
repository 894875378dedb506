"""Laws of the whole: a sequence is transformed by itself alone, whatever stands beside it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eleatt_bench.data.batches import Batch, EpochBatchSampler, SequenceDataset
from eleatt_bench.data.sources import ntu

AXES = st.tuples(*[st.sampled_from([0.0, 0.3])] * 3)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "origin": st.sampled_from(["sequence", "frame"]),
        "view": st.sampled_from(["sequence", "frame"]),
        "time_warp": st.sampled_from([0.2, 0.9]),
        "resample": st.sampled_from([1, 4, 30]),
        "scaling": st.just(0.4),
        "axis_scaling": AXES,
        "rotation": AXES.map(lambda limits: tuple(100 * limit for limit in limits)),
        "noise": st.just(0.1),
        "streams": st.permutations(["joints", "bones", "velocities"]).flatmap(
            lambda names: st.integers(1, 3).map(lambda count: names[:count])
        ),
    },
)
ALL = {
    "origin": "sequence", "view": "frame", "time_warp": 0.5, "resample": 6, "scaling": 0.2,
    "axis_scaling": (0.1, 0.1, 0.1), "rotation": (35, 35, 35), "noise": 0.1,
    "streams": ["joints", "bones", "velocities"],
}  # fmt: skip
SAMPLES = st.lists(st.integers(0, 7), min_size=1, max_size=10)
some = settings(deadline=None)


def rows(batch: Batch) -> dict[int, torch.Tensor]:
    """The frames of each sequence, by its index; what is padded must be zero."""
    for row, length in zip(batch.inputs, batch.lengths.tolist(), strict=True):
        assert not row[length:].any()
    found = zip(batch.indices.tolist(), batch.inputs, batch.lengths.tolist(), strict=True)
    return {index: row[:length] for index, row, length in found}


def assert_same(one: dict[int, torch.Tensor], other: dict[int, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for index, frames in one.items():
        assert torch.equal(frames, other[index]), "not the same to the last bit"


@some
@given(CONFIGS, SAMPLES, st.integers(0, 9), st.booleans())
def test_a_batch_is_its_samples_transformed_alone(
    transforms, batch_of, config: dict[str, Any], samples: list[int], epoch: int, training: bool
) -> None:
    transform = transforms(seed=3, **config)
    whole = transform(batch_of(samples, epoch), training)
    for index, frames in rows(whole).items():
        alone = transform(batch_of([index], epoch), training)
        assert_same({index: frames}, rows(alone))


def test_long_sequences_alone_and_together(make_store, transforms, batch_of) -> None:
    """As above at the sizes at which libraries begin to compute in blocks."""
    store = make_store([300, 21, 150, 77], name="ntu", width=150, layout=ntu.LAYOUT)
    config = {**ALL, "resample": None}
    transform = transforms(store, **config)
    whole = rows(transform(batch_of(store=store), training=True))
    for index in range(4):
        alone = rows(transform(batch_of([index], store=store), training=True))
        assert_same({index: whole[index]}, alone)


@some
@given(CONFIGS, SAMPLES, st.integers(1, 9), st.floats(-10, 10))
def test_padding_never_matters(
    transforms, batch_of, config: dict[str, Any], samples: list[int], more: int, rubbish: float
) -> None:
    transform, batch = transforms(**config), batch_of(samples)
    expected = rows(transform(batch, True))
    shape = (len(samples), more, batch.inputs.shape[2])
    longer = torch.cat([batch.inputs, torch.zeros(shape)], dim=1)
    assert_same(expected, rows(transform(batch._replace(inputs=longer), True)))
    padded = torch.arange(longer.shape[1]) >= batch.lengths[:, None]
    filled = longer.masked_fill(padded[:, :, None], rubbish)
    found = transform(batch._replace(inputs=filled), True)
    for index, row in zip(found.indices.tolist(), found.inputs, strict=True):
        assert torch.equal(row[: len(expected[index])], expected[index])


@some
@given(CONFIGS, SAMPLES, st.booleans())
def test_absent_bodies_stay_absent(
    transforms, batch_of, config: dict[str, Any], samples: list[int], training: bool
) -> None:
    for key in ("time_warp", "resample", "streams"):
        config.pop(key, None)
    batch = batch_of(samples)
    absent = ~batch.inputs.unflatten(2, (2, 15)).any(3)
    found = transforms(**config)(batch, training)
    assert not found.inputs.unflatten(2, (2, 15))[absent].any()


@settings(deadline=None)
@given(CONFIGS, st.integers(1, 5), st.integers(0, 5), st.booleans())
def test_two_processes_transform_what_one_does(
    transforms, skeletons, config: dict[str, Any], batch_size: int, epoch: int, bucket: bool
) -> None:
    def samples(rank: int, world_size: int) -> list[dict[int, torch.Tensor]]:
        sampler = EpochBatchSampler(
            skeletons.lengths, batch_size, shuffle=True, seed=1, bucket=bucket, rank=rank,
            world_size=world_size,
        )  # fmt: skip
        sampler.set_epoch(epoch)
        dataset, transform = SequenceDataset(skeletons, np.arange(8)), transforms(seed=1, **config)
        return [rows(transform(dataset[positions], training=True)) for positions in sampler]

    for whole, first, second in zip(samples(0, 1), samples(0, 2), samples(1, 2), strict=True):
        assert not first.keys() & second.keys()
        assert_same(whole, first | second)


def test_a_resumed_epoch_is_the_same_and_no_other_is(transforms, batch_of) -> None:
    undisturbed = transforms(seed=5, **ALL)
    epochs = [rows(undisturbed(batch_of(epoch=epoch), training=True)) for epoch in range(4)]
    torch.manual_seed(9)
    resumed = rows(transforms(seed=5, **ALL)(batch_of([3, 1, 2, 0, 7, 6, 5, 4], 2), True))
    assert_same(epochs[2], resumed)
    for one, other in pairwise(epochs):
        assert not any(torch.equal(one[index], other[index]) for index in one)
    others = rows(transforms(seed=6, **ALL)(batch_of(epoch=2), True))
    assert not any(torch.equal(epochs[2][index], others[index]) for index in others)


def test_the_order_is_the_one_that_is_documented(transforms, batch_of, skeletons) -> None:
    """Each alone, one after the other, is all of them at once, to rounding."""
    whole = transforms(**ALL)(batch_of(), training=True)
    step = batch_of()
    for key, value in ALL.items():
        step = transforms(**{key: value})(step, training=True)
    assert torch.equal(whole.lengths, step.lengths)
    torch.testing.assert_close(whole.inputs, step.inputs, atol=1e-5, rtol=1e-5)


def test_testing_draws_nothing(transforms, batch_of) -> None:
    state, numpys = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    for training in (True, False):
        transforms(**ALL)(batch_of(), training)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.random.get_state()[1].tolist() == numpys
    random = {
        key: ALL[key] for key in ("time_warp", "scaling", "axis_scaling", "rotation", "noise")
    }
    batch = batch_of()
    assert transforms(**random)(batch, training=False).inputs is batch.inputs
    first, second = (transforms(seed=s, **ALL)(batch_of(epoch=s), False) for s in (0, 1))
    assert torch.equal(first.inputs, second.inputs)


def test_nothing_is_on_by_default(transforms, batch_of) -> None:
    batch = batch_of()
    for training in (True, False):
        assert transforms()(batch, training).inputs is batch.inputs


def test_the_batch_given_stays_as_it_is(transforms, batch_of) -> None:
    batch = batch_of()
    inputs, lengths = batch.inputs.clone(), batch.lengths.clone()
    found = transforms(**ALL)(batch, training=True)
    assert torch.equal(batch.inputs, inputs)
    assert torch.equal(batch.lengths, lengths)
    assert found.labels is batch.labels
    assert found.indices is batch.indices
    assert (found.batch_size_global, found.epoch) == (8, 0)


def test_an_empty_share(transforms, batch_of) -> None:
    for training in (True, False):
        found = transforms(**ALL)(batch_of([]), training)
        assert found.inputs.shape == (0, 6, 84)
        assert found.lengths.shape == (0,)


def test_double_precision_stays(transforms, batch_of) -> None:
    batch = batch_of()
    double = batch._replace(inputs=batch.inputs.double())
    found = transforms(**ALL)(double, training=True).inputs
    assert found.dtype == torch.float64
    single = transforms(**ALL)(batch, training=True).inputs
    torch.testing.assert_close(found.float(), single, atol=1e-4, rtol=1e-4)


def test_nothing_waits_for_the_device(transforms, batch_of) -> None:
    """The meta device has shapes alone: whatever looks at a value there fails."""
    batch = batch_of()
    elsewhere = batch._replace(
        inputs=batch.inputs.to("meta"), lengths=batch.lengths.to("meta"), labels=None
    )
    for training in (True, False):
        transform = transforms(**{**ALL, "noise": 0})  # noise is drawn for each length
        found, expected = (transform(b, training) for b in (elsewhere, batch))
        assert found.inputs.is_meta
        assert found.inputs.shape == expected.inputs.shape
        assert found.inputs.dtype == expected.inputs.dtype


@pytest.mark.gpu
def test_on_a_gpu_the_numbers_are_the_same(transforms, batch_of) -> None:
    batch = batch_of()
    elsewhere = batch._replace(inputs=batch.inputs.cuda(), lengths=batch.lengths.cuda())
    for training in (True, False):
        found, expected = (transforms(**ALL)(b, training) for b in (elsewhere, batch))
        assert found.inputs.is_cuda
        assert found.lengths.cpu().equal(expected.lengths)
        torch.testing.assert_close(found.inputs.cpu(), expected.inputs, rtol=1e-5, atol=1e-5)
