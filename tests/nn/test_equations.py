"""The two forms of the GRU; test_witnesses.py has every equation against the paper in NumPy."""

from __future__ import annotations

import pytest
import torch

from eleatt_bench.nn import equations
from eleatt_bench.nn.layers import EleAttGRU

T, B, D, N = 6, 3, 5, 4


@pytest.mark.parametrize("bias", [True, False])
def test_reset_after_is_the_gru_of_torch(bias):
    torch.manual_seed(2)
    witness = torch.nn.GRUCell(D, N, bias=bias, dtype=torch.float64)
    x, h = torch.randn(B, D, dtype=torch.float64), torch.randn(B, N, dtype=torch.float64)
    wx = torch.nn.functional.linear(x, witness.weight_ih, witness.bias_ih)
    h_1 = equations.gru_step_reset_after(wx, h, witness.weight_hh.t(), witness.bias_hh)
    torch.testing.assert_close(h_1, witness(x, h), rtol=0, atol=1e-14)


def test_the_paper_resets_before_the_recurrent_matrix():
    """The two GRUs are different functions, and agree where the reset gate is wide open."""
    torch.manual_seed(3)
    before = EleAttGRU(D, N, gate=None, dtype=torch.float64)
    after = EleAttGRU(D, N, gate=None, reset_after=True, dtype=torch.float64)
    with torch.no_grad():
        before.weight_hh_l0.normal_()
        after.load_state_dict(
            {
                "weight_ih_l0": before.weight_ih_l0,
                "weight_hh_l0": before.weight_hh_l0,
                "bias_ih_l0": before.bias_l0,
                "bias_hh_l0": torch.zeros(3 * N),
            }
        )
    x = torch.randn(T, B, D, dtype=torch.float64)
    assert (before(x)[0] - after(x)[0]).abs().max() > 1e-2
    with torch.no_grad():
        before.bias_l0[:N] = 50
        after.bias_ih_l0[:N] = 50
    torch.testing.assert_close(before(x)[0], after(x)[0], rtol=0, atol=1e-14)
