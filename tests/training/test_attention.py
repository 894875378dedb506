"""A gate's attention against the layer itself, and their measure against the paper's formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.training.attention import (
    Attended,
    attention_to,
    mean_over_frames,
    of_joints,
    relative,
)
from eleatt_bench.training.fit import build
from eleatt_bench.training.run import train


def drawn(random: np.random.Generator, T: int, D: int) -> Attended:
    x, a = random.normal(size=(T, D)), random.uniform(size=(T, D))
    return Attended(0, 0, x.astype(np.float32), a.astype(np.float32))


def test_relative_is_the_papers_measure_element_by_element() -> None:
    random = np.random.default_rng()
    samples = [drawn(random, T, 5) for T in (3, 1, 7)]
    for one in samples:
        one.inputs[:, 2] = 0  # a joint that is never there
    found = relative(samples)
    for i in range(5):
        x = [float(v) for one in samples for v in one.inputs[:, i]]
        a = [float(v) for one in samples for v in one.attention[:, i]]
        top = sum((p * q) ** 2 for p, q in zip(a, x, strict=True)) / len(x)
        bottom = sum(q**2 for q in x) / len(x)
        expected = [p / (top / bottom) ** 0.5 if bottom else 0.0 for p in a]
        ours = [float(v) for one in found for v in one[:, i]]
        assert ours == pytest.approx(expected, rel=1e-5)


def test_a_gate_that_is_always_the_same_has_relative_attention_of_one() -> None:
    one = drawn(np.random.default_rng(), 6, 4)
    one.attention[:] = 0.3
    np.testing.assert_allclose(relative([one])[0], 1, rtol=1e-6)


def test_a_joint_has_the_sum_of_its_axes() -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 6)
    inputs = np.array([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 0]], dtype=np.float32)
    assert of_joints(values, inputs, 2).tolist() == [[3, 12], [21, 30]], "of one body"
    assert of_joints(values, inputs, 1).tolist() == [[3, 0], [0, 30]], "of two, one in each frame"
    assert of_joints(values, inputs * 0, 2).tolist() == [[0, 0], [0, 0]]


def test_frames_without_a_body_do_not_count_in_its_mean() -> None:
    one, two = np.array([[3.0, 0], [1, 0]]), np.array([[2.0, 0], [0, 0]])
    found = mean_over_frames([one.astype(np.float32), two.astype(np.float32)])
    np.testing.assert_array_equal(found, [2, np.nan])


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.few(1)
def test_attention_is_those_of_the_layer_to_its_own_input(short_config, layer: int) -> None:
    cfg = short_config("model=eleatt_gru", "model.num_layers=2", "trainer.max_epochs=1")
    folder, _ = train(cfg, [])
    config = cfg
    store = catalog.open_store(Path(cfg["data_dir"]), "digits")
    found = attention_to(config, store, folder, [3, 1700], layer)
    assert [one.position for one in found] == [3, 1700]

    _, classifier = build(config, store)
    state = torch.load(folder.checkpoints / "best.ckpt", weights_only=True)["model"]
    classifier.load_state_dict(state)
    weights = {k: v.double() for k, v in classifier.recurrent.state_dict().items()}
    for one in found:
        if layer == 0:
            assert np.array_equal(one.inputs, store.sequence(one.position))
        x = torch.from_numpy(one.inputs).double()
        h = torch.zeros(8, dtype=torch.float64)
        for t in range(len(x)):
            sums = weights[f"weight_ia_l{layer}"] @ x[t] + weights[f"weight_ha_l{layer}"] @ h
            a = torch.sigmoid(sums + weights[f"bias_a_l{layer}"])
            np.testing.assert_allclose(one.attention[t], a, atol=2e-6)
            gates = weights[f"weight_ih_l{layer}"] @ (a * x[t]) + weights[f"bias_l{layer}"]
            (r, z), n = (
                torch.sigmoid(gates[:16] + weights[f"weight_hh_l{layer}"][:16] @ h).chunk(2),
                gates[16:],
            )
            n = torch.tanh(n + weights[f"weight_hh_l{layer}"][16:] @ (r * h))
            h = z * h + (1 - z) * n


def test_attention_is_computed_by_what_there_is_here(short_config) -> None:
    cfg = short_config("model=eleatt_gru", "trainer.max_epochs=1")
    folder, _ = train(cfg, [])
    store = catalog.open_store(Path(cfg["data_dir"]), "digits")
    (own,) = attention_to(cfg, store, folder, [3], 0)
    elsewhere = {**cfg, "model": {**cfg["model"], "backend": "triton"}}  # which needs a GPU
    (found,) = attention_to(elsewhere, store, folder, [3], 0)
    assert np.array_equal(found.attention, own.attention)


def test_a_layer_without_a_gate_is_refused(short_config) -> None:
    cfg = short_config("model=gru", "trainer.max_epochs=1")
    folder, _ = train(cfg, [])
    store = catalog.open_store(Path(cfg["data_dir"]), "digits")
    with pytest.raises(UserError, match="has no gate; no layer has"):
        attention_to(cfg, store, folder, [0], 0)
