"""The backward pass of a layer as one Triton kernel; the ground rules are in `kernels`."""

# Triton compiles these functions; its types are not Python's.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"

from __future__ import annotations

import triton
import triton.language as tl

from eleatt_bench.nn.triton.kernels import (
    feed,
    gru_backward,
    load,
    lstm_backward,
    products,
    save,
    tile,
)


@triton.jit(do_not_specialize=["x_step", "x_row", "T", "B"])
def backward(
    x, x_step, x_row,  # behind a gate: (T, B, D), its strides
    attention,  # behind a gate: (T, B, D), a_t
    gates,  # (T, B, kN): what `scan_cells` keeps, r, z, n or i, f, g, o
    hn,  # (T, B, N), GRU with reset_after: W_h h + b_h of n
    state_before,  # (T, B, N): h_{t-1} of a GRU, c_{t-1} of an LSTM
    state_after,  # (T, B, N): h_t of an RNN, c_t of an LSTM
    d_outputs, d_attention,  # (T, B, N), (T, B, D) or None
    d_h, d_c,  # (B, N) or None: the gradients of the final states
    w_n,  # (NP, NP), GRU: W_hᵀ of n, rows and columns padded with zeros
    w_x,  # (DP, ·), behind a gate: W_xᵀ, its columns in the order of the operand
    w_h,  # (NP, ·): [W_hᵀ | W_haᵀ], likewise
    lengths, order,  # (B,), with RAGGED
    d_gates,  # (T, B, kN): of the sums in the gates
    d_x,  # (T, B, D) or None: of x_t in a_t ⊙ x_t
    d_sums,  # (T, B, D), behind a gate: of the sum in a_t
    d_h_0, d_c_0,  # (B, N)
    operand,  # (tiles, BLOCK_B, WIDTH): d of the sums in the gates, for a GRU of n, r, z and with
    # reset_after n ⊙ r; last, behind an attention gate, of the sum in a_t
    carried,  # (tiles, 6, BLOCK_B, max(DP, NP)) float32
    T, B,
    D: tl.constexpr, N: tl.constexpr,
    KIND: tl.constexpr,  # rnn, lstm, gru, gru_after
    GATE: tl.constexpr,  # sigmoid, softmax or empty
    REVERSE: tl.constexpr, RAGGED: tl.constexpr,
    BLOCK_B: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """All steps of a tile of sequences, last to first."""
    GRU: tl.constexpr = KIND == "gru" or KIND == "gru_after"
    BLOCKS: tl.constexpr = 4 if KIND == "lstm" else 1 if KIND == "rnn" else 3
    DP: tl.constexpr = (D + 15) // 16 * 16
    NP: tl.constexpr = (N + 15) // 16 * 16
    WIDE: tl.constexpr = DP if DP > NP else NP
    A_AT: tl.constexpr = (4 if KIND == "gru_after" else BLOCKS) * NP
    WIDTH: tl.constexpr = A_AT + (DP if GATE != "" else 0)
    H_AT: tl.constexpr = NP if GRU else 0  # where in the operand the factor of w_h begins
    PART: tl.constexpr = BLOCK_B * WIDE

    row, exists, length = tile(lengths, order, T, B, RAGGED, BLOCK_B)
    rows = tl.arange(0, BLOCK_B)
    every = rows >= 0
    steps = tl.max(length, axis=0)
    operand += tl.program_id(0).to(tl.int64) * (BLOCK_B * WIDTH)
    # Parts: dh; its share that reaches h_{t-1} without a product; that share plus the one through
    # r; dc, two parts by parity of the step; a ⊙ da.
    carried += tl.program_id(0).to(tl.int64) * (6 * PART)
    direct, direct_r, dcs = carried + PART, carried + 2 * PART, carried + 3 * PART
    a_da = carried + 5 * PART
    for start in range(0, NP, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        dh = tl.zeros((BLOCK_B, BLOCK_N), tl.float32)
        if d_h is not None:
            dh = load(d_h, row * N, n, N, exists)
        save(carried, rows * WIDE, n, NP, every, dh)
        if KIND == "lstm":
            dc = tl.zeros((BLOCK_B, BLOCK_N), tl.float32)
            if d_c is not None:
                dc = load(d_c, row * N, n, N, exists)
            save(dcs + ((steps - 1) & 1) * PART, rows * WIDE, n, NP, every, dc)
    tl.debug_barrier()

    for back in tl.range(0, steps, num_stages=1):  # no loads ahead: steps read what others wrote
        s = steps - 1 - back
        active = s < length
        t = tl.maximum(length - 1 - s, 0) if REVERSE else tl.zeros_like(length) + s
        frame = t * B + row
        gate = frame * (BLOCKS * N)
        now = active[:, None]

        # 1: through the functions of the cell. Ended sequences keep dh and dc, and add nothing:
        # their gates are read as zero. Only their dn is not zero, but meets an x_t and r of zero.
        for start in range(0, NP, BLOCK_N):
            n = start + tl.arange(0, BLOCK_N)
            dh = load(carried, rows * WIDE, n, NP, every)
            if d_outputs is not None:
                dh += load(d_outputs, frame * N, n, N, active)
            passed = tl.zeros_like(dh)
            if KIND == "rnn":
                h = load(state_after, frame * N, n, N, active)
                d = tl.where(now, dh * (1 - h * h), 0)
                save(d_gates, gate, n, N, active, d)
                feed(operand, rows * WIDTH, n, NP, d, PRECISION)
            elif KIND == "lstm":
                i = load(gates, gate, n, N, active)
                f = load(gates, gate + N, n, N, active)
                g = load(gates, gate + 2 * N, n, N, active)
                o = load(gates, gate + 3 * N, n, N, active)
                c_before = load(state_before, frame * N, n, N, active)
                c = load(state_after, frame * N, n, N, active)
                dc = load(dcs + (s & 1) * PART, rows * WIDE, n, NP, every)
                di, df, dg, do, dc_before = lstm_backward(i, f, g, o, c_before, c, dh, dc)
                save(d_gates, gate, n, N, active, di)
                save(d_gates, gate + N, n, N, active, df)
                save(d_gates, gate + 2 * N, n, N, active, dg)
                save(d_gates, gate + 3 * N, n, N, active, do)
                feed(operand, rows * WIDTH, n, NP, di, PRECISION)
                feed(operand + NP, rows * WIDTH, n, NP, df, PRECISION)
                feed(operand + 2 * NP, rows * WIDTH, n, NP, dg, PRECISION)
                feed(operand + 3 * NP, rows * WIDTH, n, NP, do, PRECISION)
                dc = tl.where(now, dc_before, dc)
                save(dcs + ((s + 1) & 1) * PART, rows * WIDE, n, NP, every, dc)
            else:
                z = load(gates, gate + N, n, N, active)
                new = load(gates, gate + 2 * N, n, N, active)
                h = load(state_before, frame * N, n, N, active)
                dz, dn, passed = gru_backward(z, new, h, dh)
                save(d_gates, gate + N, n, N, active, dz)
                save(d_gates, gate + 2 * N, n, N, active, dn)
                feed(operand, rows * WIDTH, n, NP, dn, PRECISION)
                feed(operand + 2 * NP, rows * WIDTH, n, NP, dz, PRECISION)
                if KIND == "gru_after":
                    r = load(gates, gate, n, N, active)
                    dr = dn * load(hn, frame * N, n, N, active) * r * (1 - r)
                    save(d_gates, gate, n, N, active, dr)
                    feed(operand + NP, rows * WIDTH, n, NP, dr, PRECISION)
                    feed(operand + 3 * NP, rows * WIDTH, n, NP, dn * r, PRECISION)
            save(direct, rows * WIDE, n, NP, every, tl.where(now, passed, dh))
        tl.debug_barrier()

        # 2: through r ⊙ h.
        if KIND == "gru":
            for start in range(0, NP, BLOCK_N):
                n = start + tl.arange(0, BLOCK_N)
                r = load(gates, gate, n, N, active)
                h = load(state_before, frame * N, n, N, active)
                passed = load(direct, rows * WIDE, n, NP, every)
                drh = products(operand, w_n, n, NP, WIDTH, NP, 1,
                               BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
                dr = drh * h * r * (1 - r)
                save(d_gates, gate, n, N, active, dr)
                feed(operand + NP, rows * WIDTH, n, NP, dr, PRECISION)
                save(direct_r, rows * WIDE, n, NP, every, passed + drh * r)
            tl.debug_barrier()

        # 3: through a_t ⊙ x_t and the attention gate.
        if GATE != "":
            total = tl.zeros((BLOCK_B,), tl.float32)
            for start in range(0, DP, BLOCK_D):
                d = start + tl.arange(0, BLOCK_D)
                a = load(attention, frame * D, d, D, active)
                x_t = load(x, t * x_step + row * x_row, d, D, active)
                dxa = products(operand, w_x, d, BLOCKS * NP, WIDTH, DP, 1,
                               BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
                da = dxa * x_t
                if d_attention is not None:
                    da += load(d_attention, frame * D, d, D, active)
                if d_x is not None:
                    save(d_x, frame * D, d, D, active, dxa * a)
                if GATE == "sigmoid":
                    da *= a * (1 - a)
                    save(d_sums, frame * D, d, D, active, da)
                    feed(operand + A_AT, rows * WIDTH, d, DP, da, PRECISION)
                else:
                    total += tl.sum(da * a, axis=1)
                    save(a_da, rows * WIDE, d, DP, every, da * a)
            tl.debug_barrier()
            if GATE == "softmax":
                for start in range(0, DP, BLOCK_D):
                    d = start + tl.arange(0, BLOCK_D)
                    a = load(attention, frame * D, d, D, active)
                    da = load(a_da, rows * WIDE, d, DP, every) - a * total[:, None]
                    save(d_sums, frame * D, d, D, active, da)
                    feed(operand + A_AT, rows * WIDTH, d, DP, da, PRECISION)
                tl.debug_barrier()

        # 4: through the products with h_{t-1}.
        for start in range(0, NP, BLOCK_N):
            n = start + tl.arange(0, BLOCK_N)
            dh = load(direct_r if KIND == "gru" else direct, rows * WIDE, n, NP, every)
            dh += products(operand + H_AT, w_h, n, WIDTH - H_AT, WIDTH, NP, 1,
                           BLOCK_B, BLOCK_K, STAGES, PRECISION)[0]  # fmt: skip
            save(carried, rows * WIDE, n, NP, every, dh)
        tl.debug_barrier()

    for start in range(0, NP, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        save(d_h_0, row * N, n, N, exists, load(carried, rows * WIDE, n, NP, every))
        if KIND == "lstm":  # step 0 has left dc at parity 1
            save(d_c_0, row * N, n, N, exists, load(dcs + PART, rows * WIDE, n, NP, every))
