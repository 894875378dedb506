"""Masks of samples: how much they drop, that they are independent, and what they follow from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.batches import Batch
from eleatt_bench.training.dropout import _GOLDEN, SampleDropout, _mixed

SAMPLES, FRAMES, ELEMENTS = 40, 30, 50


def masks(
    p: float = 0.5,
    seed: int = 0,
    epoch: int = 0,
    layer: int = 0,
    samples: Sequence[int] = range(SAMPLES),
    lengths: Sequence[int] | None = None,
    elements: int = ELEMENTS,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """What becomes of ones: (T, B, N)."""
    long = torch.tensor(lengths or [FRAMES] * len(samples))
    dropout = SampleDropout(p, seed)
    empty = torch.empty(len(long), 0)
    dropout.draw_for(Batch(empty, long, empty, np.array(samples, np.int64), len(long), epoch))
    return dropout(torch.ones(int(long.max()), len(long), elements, dtype=dtype), layer)


@pytest.mark.parametrize(("p", "level"), [(0.5 / 65_536, 1), (1 - 0.5 / 65_536, 65_535)])
def test_whatever_a_configuration_may_have_drops_some_and_keeps_some(
    composer, p: float, level: int
) -> None:
    with pytest.raises(UserError, match=r"^model\.dropout"):
        composer.config([f"model.dropout={p!r}"])
    inside = np.nextafter(p, 0.5).item()
    assert composer.config([f"model.dropout={inside!r}"])["model"]["dropout"] == inside
    found = masks(inside, elements=500).unique().tolist()
    assert found == pytest.approx([0, 65_536 / (65_536 - level)])


def test_the_mixing_is_splitmix64() -> None:
    """The first numbers of the published generator for the seed 1234567."""
    states = 1234567 + _GOLDEN * torch.arange(1, 6)
    assert [number % (1 << 64) for number in _mixed(states).tolist()] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821,
    ]  # fmt: skip


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_so_many_are_dropped_and_the_mean_stays(p: float) -> None:
    found = masks(p)
    count = found.numel()
    spread = (p * (1 - p) / count) ** 0.5
    assert float((found == 0).double().mean()) == pytest.approx(p, abs=5 * spread)
    kept = found[found != 0].unique()
    assert kept.numel() == 1
    assert float(kept) == pytest.approx(1 / (1 - p), rel=1e-4)


def test_nothing_is_dropped_of_what_is_tested_or_with_a_probability_of_zero() -> None:
    assert (masks(0.0) == 1).all()
    dropout = SampleDropout(0.5, 0).eval()
    x = torch.ones(3, 2, 4)
    assert dropout(x, 0) is x
    assert torch.equal(dropout.of_last(x[0], 0), x[0])


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


def test_masks_are_independent_of_each_other() -> None:
    """Of other seeds, epochs, layers, samples, frames and elements, near and far."""
    here = masks()
    others = {
        "seed": masks(seed=1), "epoch": masks(epoch=1), "layer": masks(layer=1),
        "samples": masks(samples=range(1, SAMPLES + 1)),
        "far": masks(samples=range(1 << 33, (1 << 33) + SAMPLES)),
    }  # fmt: skip
    for shift, axis in itertools.product((1, 2, 3, 4, 7, 8), range(3)):
        others[f"{shift} along {axis}"] = here.roll(shift, axis)
    bound = 5 / here.numel() ** 0.5
    for name, other in others.items():
        assert abs(correlation(here, other)) < bound, name


def test_counts_spread_as_those_of_coins_do() -> None:
    """Neither elements, frames nor samples have more or less than their share."""
    for axis in range(3):
        rest = tuple(other for other in range(3) if other != axis)
        dropped = (masks(0.3) == 0).double().sum(dim=rest)
        trials = masks(0.3).numel() / len(dropped)
        chi = float((((dropped - 0.3 * trials) ** 2) / (0.3 * 0.7 * trials)).sum())
        assert abs(chi - len(dropped)) < 5 * (2 * len(dropped)) ** 0.5


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 40), st.integers(1, 9)),
        min_size=1,
        max_size=6,
        unique_by=lambda s: s[0],
    ),
    st.randoms(use_true_random=False),
    st.integers(1, 11),
    st.integers(0, 3),
)
def test_a_sample_has_its_own_in_any_company(
    samples: list[tuple[int, int]], random, elements: int, layer: int
) -> None:
    names, lengths = zip(*samples, strict=True)
    together = masks(0.4, samples=names, lengths=lengths, elements=elements, layer=layer)
    order = list(range(len(names)))
    random.shuffle(order)
    shuffled = masks(
        0.4, samples=[names[i] for i in order], lengths=[lengths[i] for i in order],
        elements=elements, layer=layer,
    )  # fmt: skip
    for place, (name, length) in enumerate(samples):
        alone = masks(0.4, samples=[name], lengths=[length], elements=elements, layer=layer)
        assert torch.equal(together[:length, place], alone[:, 0])
        assert torch.equal(shuffled[:length, order.index(place)], alone[:, 0])
        assert (together[length:, place] == 0).all()


def test_the_last_frame_alone_has_its_mask() -> None:
    lengths = [3, 9, 1, 7]
    all_frames = masks(0.4, samples=range(4), lengths=lengths, layer=2)
    dropout = SampleDropout(0.4, 0)
    empty = torch.empty(4, 0)
    dropout.draw_for(Batch(empty, torch.tensor(lengths), empty, np.arange(4), 4, 0))
    last = dropout.of_last(torch.ones(4, ELEMENTS), 2)
    assert torch.equal(last, torch.stack([all_frames[n - 1, b] for b, n in enumerate(lengths)]))


def test_half_precision_has_the_same_elements_and_gradients_are_those_of_the_mask() -> None:
    assert torch.equal(masks(dtype=torch.bfloat16) == 0, masks() == 0)
    dropout = SampleDropout(0.5, 0)
    empty = torch.empty(2, 0)
    dropout.draw_for(Batch(empty, torch.tensor([4, 2]), empty, np.arange(2), 2, 0))
    x = torch.randn(4, 2, 6, requires_grad=True)
    dropout(x, 0).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropout(torch.ones(4, 2, 6), 0))


@pytest.mark.parametrize("elements", [1, 4, 5, 50])
def test_frames_of_nobody_are_dropped_as_torch_does(elements: int) -> None:
    """Before samples are named and after they are forgotten, in batches of any size."""
    dropout = SampleDropout(0.3, 0)
    x = torch.ones(FRAMES, SAMPLES, elements)
    for _ in range(2):
        torch.manual_seed(1)
        own = dropout(x, 0), dropout(x, 0), dropout.of_last(x[0], 0)
        torch.manual_seed(1)
        for found, given_one in zip(own, (x, x, x[0]), strict=True):
            assert torch.equal(found, torch.nn.functional.dropout(given_one, 0.3))
        assert not torch.equal(own[0], own[1])
        empty = torch.empty(2, 0)
        dropout.draw_for(Batch(empty, torch.tensor([4, 2]), empty, np.arange(2), 2, 0))
        dropout.forget()


@pytest.mark.parametrize("elements", [1, 4, 5])
def test_an_empty_share_has_nothing_to_drop(elements: int) -> None:
    dropout, none = SampleDropout(0.3, 0), torch.empty(0, dtype=torch.int64)
    dropout.draw_for(Batch(torch.empty(0, 0), none, none, np.empty(0, np.int64), 2, 0))
    assert dropout(torch.ones(3, 0, elements), 0).shape == (3, 0, elements)
    assert dropout.of_last(torch.ones(0, elements), 0).shape == (0, elements)


@pytest.mark.gpu
def test_a_gpu_drops_the_same() -> None:
    lengths = torch.tensor([FRAMES, 7, 19])
    found = []
    for device in ("cpu", "cuda"):
        dropout = SampleDropout(0.3, 5)
        empty = torch.empty(3, 0, device=device)
        dropout.draw_for(Batch(empty, lengths.to(device), empty, np.arange(3), 3, 2))
        found.append(dropout(torch.ones(FRAMES, 3, ELEMENTS, device=device), 1).cpu())
    assert torch.equal(*found)
