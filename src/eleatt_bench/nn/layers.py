"""`EleAttRNN`, `EleAttLSTM`, `EleAttGRU`: torch's recurrent layers with the paper's gate.

Zhang et al., "Adding Attentiveness to the Neurons in Recurrent Neural Networks" (ECCV 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from eleatt_bench.nn.contract import Gate
from eleatt_bench.nn.stack import Stack


class EleAttRNN(Stack):
    """The standard (tanh) RNN behind an element-wise attention gate, equations 1, 4, 5 and 6.

    a_t = σ(W_xa x_t + W_ha h_{t-1} + b_a)
    x̃_t = a_t ⊙ x_t
    h_t = tanh(W_xh x̃_t + W_hh h_{t-1} + b_h)

        >>> import torch
        >>> from eleatt_bench import EleAttRNN
        >>> layer = EleAttRNN(input_size=150, hidden_size=100)
        >>> x = torch.randn(60, 32, 150)  # 60 frames of 32 sequences, as torch.nn.RNN takes them
        >>> output, h_n = layer(x)
        >>> output.shape, h_n.shape
        (torch.Size([60, 32, 100]), torch.Size([1, 32, 100]))

    Arguments, shapes, parameters and errors are those of `EleAttGRU`, without ``reset_after`` and
    with one block of rows instead of three: ``weight_ih_lk`` (N, D), ``weight_hh_lk`` (N, N),
    ``bias_lk`` (N,).
    """

    kind = "rnn"


class EleAttLSTM(Stack):
    """The LSTM (no peepholes) behind an element-wise attention gate, equations 2, 4 and 5.

    a_t = σ(W_xa x_t + W_ha h_{t-1} + b_a)
    x̃_t = a_t ⊙ x_t
    i, f, o = σ(W_x x̃_t + W_h h_{t-1} + b), each with its own W_x, W_h, b
    c_t = f ⊙ c_{t-1} + i ⊙ tanh(W_xc x̃_t + W_hc h_{t-1} + b_c)
    h_t = o ⊙ tanh(c_t)

        >>> import torch
        >>> from eleatt_bench import EleAttLSTM
        >>> layer = EleAttLSTM(input_size=150, hidden_size=100, batch_first=True)
        >>> x = torch.randn(32, 60, 150)  # 32 sequences of 60 frames
        >>> output, (h_n, c_n) = layer(x[:, :40])
        >>> output, (h_n, c_n) = layer(x[:, 40:], (h_n, c_n))  # continues from there
        >>> c_n.shape
        torch.Size([1, 32, 100])

    Arguments, shapes, parameters and errors are those of `EleAttGRU`, without ``reset_after``. A
    state is a pair as in `torch.nn.LSTM`: ``hx`` is (h_0, c_0), and (h_n, c_n) takes the place of
    h_n. There are four blocks of rows instead of three, in the order i, f, g, o (g is the tanh).
    """

    kind = "lstm"


class EleAttGRU(Stack):
    """The GRU behind an element-wise attention gate, equations 3, 4, 5 and 7.

    a_t = σ(W_xa x_t + W_ha h_{t-1} + b_a)
    x̃_t = a_t ⊙ x_t
    r, z = σ(W_x x̃_t + W_h h_{t-1} + b), each with its own W_x, W_h, b
    n = tanh(W_xh x̃_t + W_hh (r ⊙ h_{t-1}) + b_h)
    h_t = z ⊙ h_{t-1} + (1 − z) ⊙ n

    In the paper the reset gate multiplies **before** the recurrent matrix; in `torch.nn.GRU` and
    cuDNN it multiplies after it, which is another function: ``reset_after=True``.

        >>> import torch
        >>> from eleatt_bench import EleAttGRU
        >>> layer = EleAttGRU(150, 100, num_layers=3, batch_first=True, dropout=0.5)
        >>> x = torch.randn(32, 60, 150)  # 32 sequences of up to 60 frames
        >>> output, h_n = layer(x, lengths=torch.randint(1, 61, (32,)))
        >>> h_n[-1].shape  # of the last layer, after each sequence's own last frame
        torch.Size([32, 100])
        >>> output, h_n, attention = layer(x, return_attention=True)
        >>> attention[0].shape  # of the first layer: how much of each input element it let in
        torch.Size([32, 60, 150])

    The arguments up to ``dtype`` are those of `torch.nn.GRU`. After them, by keyword only:

    - ``gate``: ``"sigmoid"`` (the paper's); ``"softmax"``, whose attention sums to one in every
      frame; or None, the plain cell: a_t = 1, without parameters of a gate.
    - ``gated_layers``: the layers that have the gate, counted from 0; None: all of them.
    - ``backend``: ``"auto"`` or a name in `eleatt_bench.nn.backends.BACKENDS`. Only ``"equations"``
      supports second derivatives and the transforms of `torch.func`.

    ``forward(input, hx=None, *, lengths=None, return_attention=False)``, with T frames, B
    sequences, D = ``input_size``, N = ``hidden_size``, R = ``num_layers`` × directions:

    - ``input``: (T, B, D), (B, T, D) with ``batch_first``, (T, D) for one sequence, or a
      `PackedSequence`, in the dtype of the parameters (in any floating dtype under autocast).
    - ``hx``: h_0 (R, B, N), or (R, N) with a (T, D) input; zeros where None.
    - ``lengths``: (B,) integers in 1..T, in any order, on any device: the valid frames of each
      sequence in a padded input. The values in the padding never matter and get no gradient.

    It returns ``(output, h_n)``, or ``(output, h_n, attention)`` with ``return_attention``, all in
    the dtype of the parameters:

    - ``output``: h_t of the last layer in the layout of the input, (…, N × directions), zero in
      the padding.
    - ``h_n``: (R, B, N) or (R, N), the state after each sequence's last valid frame, in the order
      layer 0 forward, layer 0 backward, layer 1 forward … The backward direction begins at that
      last frame.
    - ``attention``: a list of R entries in the order of ``h_n``. Each is the attention a_t, laid
      out as the input and as wide as the input of its layer, zero in the padding, or None if the
      layer has no gate.

    Parameters of layer k with input size D (``_reverse`` is appended for the backward direction):

    - ``weight_ih_lk`` (3N, D), ``weight_hh_lk`` (3N, N) and ``bias_lk`` (3N,), rows in the order
      r, z, n. With ``reset_after`` torch's ``bias_ih_lk`` and ``bias_hh_lk`` replace ``bias_lk``.
    - In a gated layer ``weight_ia_lk`` (D, D) for W_xa, ``weight_ha_lk`` (D, N) for W_ha and
      ``bias_a_lk`` (D,) for b_a.
    - With ``bias=False`` none of the biases.

    Raises TypeError for a wrong type or dtype, ValueError for a wrong value, shape or device.
    """

    kind = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gate: Gate | None = "sigmoid",
        gated_layers: Sequence[int] | None = None,
        backend: str = "auto",
        reset_after: bool = False,
    ) -> None:
        self.reset_after = reset_after  # first: it decides which biases there are
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            gate=gate,
            gated_layers=gated_layers,
            backend=backend,
        )
