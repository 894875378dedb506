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

# The blocks of N rows in the cell's matrices, in their order; k is their number.
BLOCKS: dict[Kind, tuple[str, ...]] = {
    "rnn": ("h",),
    "lstm": ("i", "f", "g", "o"),
    "gru": ("r", "z", "n"),
}

# The gates that decide whether the state is kept; a cell may have none. `chrono_steps` sets their
# biases to log u with this sign: + if a gate of 1 keeps the state, − if it overwrites the state.
KEEPERS: dict[Kind, dict[str, Literal[1, -1]]] = {
    "lstm": {"f": 1, "i": -1},
    "gru": {"z": 1},
}


class BackendError(RuntimeError):
    """A backend cannot run here; the message says in one sentence why, or what to do about it."""


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
        The padding of ``input`` is zero, except for `native`, which never reads it. ``lengths``
        (B,), int64 in 1..T, is **on the CPU** even if ``input`` is not, so that nothing has to wait
        for the device; None says that every sequence has T frames. With ``reverse`` each sequence
        is read from its own last valid frame to its first; the output of a frame still stands at
        the place of that frame.

        Returns the outputs (T, B, N), zero in the padding; the state of each sequence after its
        last frame read; and the attention a_t of the gate (T, B, D), zero in the padding, or None
        where the cell has no gate or ``return_attention`` is False.
        """
        ...
