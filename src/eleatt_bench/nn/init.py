"""Initial values: those of the authors' public code, and Tallec & Ollivier's for long memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import init

from eleatt_bench.nn.contract import BLOCKS, KEEPERS, Kind, Weights


@torch.no_grad()
def init_cell(
    kind: Kind,
    weights: Weights,
    *,
    recurrent_gain: float,
    forget_bias: float,
    chrono_steps: float | None,
) -> None:
    """Draw, in this order: ``weight_ih``, ``weight_hh``, and the biases if they are random.

    - input weights: glorot-uniform over the whole kernel, limit √(6/(D + kN));
    - recurrent weights: **one** orthogonal kernel for all k blocks, times ``recurrent_gain``. Keras
      stores the kernel as N×kN with orthonormal rows; this is its transpose, kN×N with orthonormal
      columns (WᵀW = gain² I), which is what `torch.nn.init.orthogonal_` makes of a tall matrix;
    - biases: zero, except ``forget_bias`` for the forget gate of the LSTM;
    - with ``chrono_steps`` = T instead (Tallec & Ollivier 2018, "Can recurrent neural networks warp
      time?"): u ~ U(1, T−1) per unit, and the biases of the gates in `KEEPERS` are log u with their
      sign: log u for z in the GRU and f in the LSTM, −log u for i in the LSTM.

    Raises ValueError, before anything is drawn, if ``chrono_steps`` is below 2 or given for a cell
    without such gates (the RNN) or without biases.
    """
    if chrono_steps is not None:
        _check_chrono(kind, weights, chrono_steps)
    init.xavier_uniform_(weights.weight_ih)
    _orthogonal(weights.weight_hh, recurrent_gain)
    if weights.bias is None:
        return
    init.zeros_(weights.bias)
    if weights.bias_hh is not None:
        init.zeros_(weights.bias_hh)
    block = dict(zip(BLOCKS[kind], weights.bias.chunk(len(BLOCKS[kind])), strict=True))
    if chrono_steps is not None:
        log_u = weights.bias.new_empty(len(weights.bias) // len(block))
        log_u.uniform_(1, chrono_steps - 1).log_()
        for name, sign in KEEPERS[kind].items():
            block[name].copy_(sign * log_u)
    elif kind == "lstm":
        block["f"].fill_(forget_bias)


@torch.no_grad()
def init_gate(weights: Weights) -> None:
    """Draw W_xa, then W_ha, glorot-uniform, each with its own fans; set b_a to zero."""
    if weights.weight_ia is not None and weights.weight_ha is not None:
        init.xavier_uniform_(weights.weight_ia)
        init.xavier_uniform_(weights.weight_ha)
    if weights.bias_a is not None:
        init.zeros_(weights.bias_a)


def _orthogonal(weight: Tensor, gain: float) -> None:
    """`init.orthogonal_`, also for half precision, which has no QR decomposition."""
    wide = torch.empty_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
    weight.copy_(init.orthogonal_(wide, gain))


def _check_chrono(kind: Kind, weights: Weights, steps: float) -> None:
    if kind not in KEEPERS:
        raise ValueError(
            "chrono_steps needs a gate that keeps the state; the cell "
            f"{kind!r} has none that nn/contract.py names"
        )
    if weights.bias is None:
        raise ValueError("chrono_steps sets biases, but the layer was made with bias=False")
    if not steps >= 2:
        raise ValueError(f"chrono_steps must be at least 2, for U(1, T−1); got {steps}")
