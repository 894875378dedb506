"""What a backend is given and what it gives back.

A backend runs ONE layer in ONE direction over a padded batch. Stacking layers and directions,
dropout, packing and every check of the user's arguments are done by the callers of a backend.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from torch import Tensor

Kind = Literal["rnn", "lstm", "gru"]
Gate = Literal["sigmoid", "softmax"]
State = tuple[Tensor, ...]  # (h,) or, for the LSTM, (h, c); each (B, N)

# k: how many blocks of N rows the cell's matrices have, and in which order.
BLOCKS: dict[Kind, tuple[str, ...]] = {
    "rnn": ("h",),
    "lstm": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
}

# The gates that keep a state, where a cell has any. `chrono_steps` gives their biases log u with
# this sign: + where the state stays while the gate is 1, − where it is overwritten.
KEEPERS: dict[Kind, dict[str, Literal[1, -1]]] = {
    "lstm": {"f": 1, "i": -1},
    "gru": {"z": 1},
}


class BackendError(RuntimeError):
    """A backend cannot run here; says in one sentence why, or what to do about it."""


class Cell(NamedTuple):
    """Which function of (input, state) a layer computes."""

    kind: Kind
    gate: Gate | None = None  # None: the plain cell
    reset_after: bool = False  # GRU only: torch's and cuDNN's form instead of the paper's


class Weights(NamedTuple):
    """The parameters of one layer in one direction; D its input size, N its hidden size."""

    weight_ih: Tensor  # (kN, D)
    weight_hh: Tensor  # (kN, N)
    bias: Tensor | None = None  # (kN,); with reset_after the input's half of torch's pair
    bias_hh: Tensor | None = None  # (kN,), with reset_after only: the state's half
    weight_ia: Tensor | None = None  # (D, D), gated layers only: W_xa
    weight_ha: Tensor | None = None  # (D, N), gated layers only: W_ha
    bias_a: Tensor | None = None  # (D,), gated layers only: b_a


class RunLayer(Protocol):
    """The signature that every backend implements."""

    def __call__(
        self,
        cell: Cell,
        weights: Weights,
        input: Tensor,  # noqa: A002  (torch's name for it)
        lengths: Tensor | None,
        state: State,
        *,
        reverse: bool,
        return_attention: bool,
    ) -> tuple[Tensor, State, Tensor | None]:
        """Run ``cell`` over ``input`` (T, B, D), starting from ``state``.

        T is at least 1, B may be 0; ``input``, ``weights`` and ``state`` have one dtype and device.
        ``input`` is zero in the padding; only for `native`, which does not read it, it may be
        anything. ``lengths`` (B,), int64 and **on the CPU** wherever the input is (nothing has to
        wait for the device), holds values in 1..T; None says that every sequence has T frames.
        With ``reverse`` each sequence is read from its own last valid frame to its first, and the
        output of a frame still stands at that frame.

        Returns the outputs (T, B, N), zero in the padding; the state of each sequence after its
        last frame read; and the attention a_t of the gate (T, B, D), zero in the padding, or None
        where the cell has no gate or ``return_attention`` is False.
        """
        ...
