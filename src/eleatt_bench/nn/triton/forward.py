"""The forward pass of a layer as one Triton kernel; the ground rules are in `kernels`."""

# Triton compiles these functions; its types are not Python's.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"

from __future__ import annotations

import triton
import triton.language as tl

from eleatt_bench.nn.triton.kernels import feed, load, lstm_forward, products, save, tanh, tile


@triton.jit
def input_part(
    projected, bias, frame, block: tl.constexpr, n, active,
    N: tl.constexpr, BLOCKS: tl.constexpr, GATED: tl.constexpr,
):  # fmt: skip
    """W_x x_t + b of one block; behind an attention gate only b, (1, columns)."""
    if not GATED:
        part = load(projected, frame * (BLOCKS * N) + block * N, n, N, active)
    elif bias is not None:
        part = tl.load(bias + block * N + n, mask=n < N, other=0)[None, :]
    else:
        part = tl.zeros((1, n.shape[0]), tl.float32)
    return part


@triton.jit(do_not_specialize=["x_step", "x_row", "T", "B"])
def forward(
    x, x_step, x_row,  # behind a gate: (T, B, D), its strides
    projected,  # (T, B, D), W_xa x_t + b_a; without a gate (T, B, kN), W_x x_t + b
    bias,  # behind a gate: (kN,), b or None
    bias_hn,  # (N,), GRU with reset_after: the bias inside the reset
    w_gate,  # (DP, NP): W_ha, rows and columns padded with zeros
    w_cell,  # (blocks, NP, K), rows as the operand: [W_x | W_h], for n of a GRU [W_h | W_x]
    h_0, c_0,  # (B, N)
    lengths, order,  # (B,), with RAGGED
    outputs, cells,  # (T, B, N); cells with an LSTM
    operand,  # (tiles, 2, BLOCK_B, WIDTH): [r ⊙ h | x̃ | h], if they exist; by parity of the step
    scratch,  # (tiles, BLOCK_B, max(DP, NP)) float32
    T, B,
    D: tl.constexpr, N: tl.constexpr,
    KIND: tl.constexpr,  # rnn, lstm, gru, gru_after
    GATE: tl.constexpr,  # sigmoid, softmax or empty
    REVERSE: tl.constexpr, RAGGED: tl.constexpr,
    BLOCK_B: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """All steps of a tile of sequences."""
    GATED: tl.constexpr = GATE != ""
    BLOCKS: tl.constexpr = 4 if KIND == "lstm" else 1 if KIND == "rnn" else 3
    DP: tl.constexpr = (D + 15) // 16 * 16
    NP: tl.constexpr = (N + 15) // 16 * 16
    X_AT: tl.constexpr = NP if KIND == "gru" else 0
    H_AT: tl.constexpr = X_AT + (DP if GATED else 0)
    WIDTH: tl.constexpr = H_AT + NP
    K: tl.constexpr = WIDTH - X_AT
    WIDE: tl.constexpr = DP if DP > NP else NP

    row, exists, length = tile(lengths, order, T, B, RAGGED, BLOCK_B)
    rows = tl.arange(0, BLOCK_B)
    every = rows >= 0
    operand += tl.program_id(0).to(tl.int64) * (2 * BLOCK_B * WIDTH)
    scratch += tl.program_id(0).to(tl.int64) * (BLOCK_B * WIDE)
    for start in range(0, NP, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        feed(operand + H_AT, rows * WIDTH, n, NP, load(h_0, row * N, n, N, exists), PRECISION)
    tl.debug_barrier()

    steps = tl.max(length, axis=0)
    for s in tl.range(0, steps, num_stages=1):  # no loads ahead: a step reads what the last wrote
        active = s < length
        t = tl.maximum(length - 1 - s, 0) if REVERSE else tl.zeros_like(length) + s
        frame = t * B + row
        before = frame + B if REVERSE else frame - B
        now = operand + (s & 1) * (BLOCK_B * WIDTH)
        after = operand + ((s + 1) & 1) * (BLOCK_B * WIDTH) + H_AT

        if GATE == "sigmoid":
            for start in range(0, DP, BLOCK_D):
                d = start + tl.arange(0, BLOCK_D)
                x_t = load(x, t * x_step + row * x_row, d, D, active)
                sums = load(projected, frame * D, d, D, active)
                sums += products(now + H_AT, w_gate, d, NP, WIDTH, DP, 1,
                                 BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
                feed(now + X_AT, rows * WIDTH, d, DP, tl.sigmoid(sums) * x_t, PRECISION)
            tl.debug_barrier()
        if GATE == "softmax":
            highest = tl.full((BLOCK_B,), float("-inf"), tl.float32)
            total = tl.zeros((BLOCK_B,), tl.float32)
            for start in range(0, DP, BLOCK_D):
                d = start + tl.arange(0, BLOCK_D)
                sums = load(projected, frame * D, d, D, active)
                sums += products(now + H_AT, w_gate, d, NP, WIDTH, DP, 1,
                                 BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
                save(scratch, rows * WIDE, d, DP, every, sums)
                sums = tl.where((d < D)[None, :], sums, float("-inf"))
                higher = tl.maximum(highest, tl.max(sums, axis=1))
                total *= tl.exp(highest - higher)
                total += tl.sum(tl.exp(sums - higher[:, None]), axis=1)
                highest = higher
            tl.debug_barrier()
            for start in range(0, DP, BLOCK_D):
                d = start + tl.arange(0, BLOCK_D)
                x_t = load(x, t * x_step + row * x_row, d, D, active)
                sums = load(scratch, rows * WIDE, d, D, every)
                sums = tl.where((d < D)[None, :], sums, float("-inf"))  # e^−highest may be infinite
                a = tl.exp(sums - highest[:, None])
                feed(now + X_AT, rows * WIDTH, d, DP, a / total[:, None] * x_t, PRECISION)
            tl.debug_barrier()

        if KIND == "gru":  # r and z, and r ⊙ h, which n needs
            for start in range(0, NP, BLOCK_N):
                n = start + tl.arange(0, BLOCK_N)
                h = load(tl.where(s == 0, h_0, outputs), tl.where(s == 0, row, before) * N,
                         n, N, active)  # fmt: skip
                r = input_part(projected, bias, frame, 0, n, active, N, BLOCKS, GATED)
                z = input_part(projected, bias, frame, 1, n, active, N, BLOCKS, GATED)
                p_0, p_1, _, _ = products(now + X_AT, w_cell, n, K, WIDTH, NP, 2,
                                          BLOCK_B, BLOCK_K, STAGES, PRECISION)  # fmt: skip
                feed(now, rows * WIDTH, n, NP, tl.sigmoid(r + p_0) * h, PRECISION)
                save(scratch, rows * WIDE, n, NP, every, tl.sigmoid(z + p_1))
            tl.debug_barrier()

        for start in range(0, NP, BLOCK_N):
            n = start + tl.arange(0, BLOCK_N)
            if KIND == "rnn":
                h = input_part(projected, bias, frame, 0, n, active, N, BLOCKS, GATED)
                h = tanh(h + products(now, w_cell, n, K, WIDTH, NP, 1,
                                      BLOCK_B, BLOCK_K, STAGES, PRECISION)[0])  # fmt: skip
            elif KIND == "lstm":
                i = input_part(projected, bias, frame, 0, n, active, N, BLOCKS, GATED)
                f = input_part(projected, bias, frame, 1, n, active, N, BLOCKS, GATED)
                g = input_part(projected, bias, frame, 2, n, active, N, BLOCKS, GATED)
                o = input_part(projected, bias, frame, 3, n, active, N, BLOCKS, GATED)
                c = load(tl.where(s == 0, c_0, cells), tl.where(s == 0, row, before) * N,
                         n, N, active)  # fmt: skip
                p_0, p_1, p_2, p_3 = products(now, w_cell, n, K, WIDTH, NP, 4,
                                              BLOCK_B, BLOCK_K, STAGES, PRECISION)  # fmt: skip
                h, c = lstm_forward(i + p_0, f + p_1, g + p_2, o + p_3, c)
                save(cells, frame * N, n, N, active, c)
            else:
                h = load(tl.where(s == 0, h_0, outputs), tl.where(s == 0, row, before) * N,
                         n, N, active)  # fmt: skip
                new = input_part(projected, bias, frame, 2, n, active, N, BLOCKS, GATED)
                if KIND == "gru":
                    z = load(scratch, rows * WIDE, n, NP, every)
                    new += products(now, w_cell + 2 * NP * K, n, K, WIDTH, NP, 1,
                                    BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
                else:
                    r = input_part(projected, bias, frame, 0, n, active, N, BLOCKS, GATED)
                    z = input_part(projected, bias, frame, 1, n, active, N, BLOCKS, GATED)
                    # r, z, W_h h and, behind a gate, W_x x̃
                    p_0, p_1, p_2, p_3 = products(now, w_cell, n, K, WIDTH, NP, 4 if GATED else 3,
                                                  BLOCK_B, BLOCK_K, STAGES, PRECISION)  # fmt: skip
                    if bias_hn is not None:
                        p_2 += tl.load(bias_hn + n, mask=n < N, other=0)[None, :]
                    z = tl.sigmoid(z + p_1)
                    new += p_3 + tl.sigmoid(r + p_0) * p_2
                new = tanh(new)
                h = new + z * (h - new)
            save(outputs, frame * N, n, N, active, h)
            feed(after, rows * WIDTH, n, NP, h, PRECISION)
        tl.debug_barrier()
