"""What the Triton kernels are made of: arithmetic, rows of arrays, products with weights.

A program owns a tile of BLOCK_B sequences. What weights are multiplied by lies in the program's
``operand``, a small array in the device's memory (rows of the tile × columns of all parts, each
part padded to a multiple of 16 columns). Triton gives a program no shared memory of its own, and
values in registers cannot be cut along the columns while a program runs. An array can, so that
neither D nor N is limited, and weights are streamed in blocks. The price is a trip through the L2
cache (some 300 cycles) per product, and a `tl.debug_barrier` between writing and reading, because
threads read what other threads wrote. Between two barriers nothing is both read and written.
"""

# Triton compiles these functions; its types are not Python's.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"

from __future__ import annotations

import triton
import triton.language as tl

INTERPRETED = bool(triton.knobs.runtime.interpret)  # TRITON_INTERPRET=1: on the CPU, without a GPU


@triton.jit
def tanh(x):
    """tanh to float32 rounding; a series near zero, where a difference of exponentials is rough."""
    e = tl.exp(-2 * tl.abs(x))
    far = (1 - e) / (1 + e)
    square = x * x
    series = x * (1 + square * (-1 / 3 + square * (2 / 15 - 17 / 315 * square)))
    return tl.where(tl.abs(x) < 0.15, series, tl.where(x < 0, -far, far))


@triton.jit
def lstm_forward(i, f, g, o, c):
    """Equation 2, from the sums in its gates and c_{t-1}: (h_t, c_t)."""
    c = tl.sigmoid(f) * c + tl.sigmoid(i) * tanh(g)
    return tl.sigmoid(o) * tanh(c), c


@triton.jit
def lstm_backward(i, f, g, o, c_before, c, dh, dc):
    """The gradients of the sums in i, f, g, o and of c_{t-1}, from those of h_t and c_t."""
    tanh_c = tanh(c)
    do = dh * tanh_c * o * (1 - o)
    dc += dh * o * (1 - tanh_c * tanh_c)
    di = dc * g * i * (1 - i)
    df = dc * c_before * f * (1 - f)
    dg = dc * i * (1 - g * g)
    return di, df, dg, do, dc * f


@triton.jit
def gru_backward(z, n, h, dh):
    """The gradients of the sums in z and n, and of h_{t-1} by way of z, from that of h_t."""
    dz = dh * (h - n) * z * (1 - z)
    dn = dh * (1 - z) * (1 - n * n)
    return dz, dn, dh * z


@triton.jit
def load(array, at, columns, LIMIT: tl.constexpr, rows):
    """float32 (rows, columns) of ``array``, row i from element ``at[i]``.

    Zero where ``rows`` is False, and from column LIMIT on.
    """
    inside = rows[:, None] & (columns < LIMIT)[None, :]
    return tl.load(array + at[:, None] + columns[None, :], mask=inside, other=0).to(tl.float32)


@triton.jit
def save(array, at, columns, LIMIT: tl.constexpr, rows, value):
    """The inverse of `load`, in the dtype of ``array``."""
    inside = rows[:, None] & (columns < LIMIT)[None, :]
    value = value.to(array.dtype.element_ty)
    tl.store(array + at[:, None] + columns[None, :], value, mask=inside)


@triton.jit
def to_tf32(x):
    """float32 rounded to the 10 mantissa bits of TF32: to nearest, ties away from zero.

    As ``cvt.rna.tf32.f32``. Tensor cores just drop the other bits, which draws sums towards zero.
    """
    bits = x.to(tl.int32, bitcast=True)
    rounded = ((bits + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return tl.where(x == x, rounded, x)  # a carry could turn a NaN into a number


@triton.jit
def rounded_for(array, value, PRECISION: tl.constexpr):
    """float32 ``value`` in the dtype of ``array``, rounded for products in ``PRECISION``."""
    if PRECISION == "tf32" and array.dtype.element_ty == tl.float32:
        value = to_tf32(value)
    return value.to(array.dtype.element_ty)


@triton.jit
def feed(operand, at, columns, LIMIT: tl.constexpr, value, PRECISION: tl.constexpr):
    """`save` a factor of products, for all rows of a tile, rounded once for all products."""
    save(operand, at, columns, LIMIT, at >= 0, rounded_for(operand, value, PRECISION))


@triton.jit
def products(
    left,
    right,
    columns,
    K: tl.constexpr,
    WIDTH: tl.constexpr,
    LIMIT: tl.constexpr,
    COUNT: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Some ``columns`` of ``left`` @ right[i]ᵀ, for the first COUNT matrices in ``right``.

    ``left`` points at (BLOCK_B, K), WIDTH numbers from row to row; ``right`` at (≥ COUNT, LIMIT, K)
    without gaps. Both have been rounded to PRECISION, by `feed` and by `pack`. K and WIDTH are
    multiples of 16, so that a thread loads 16 bytes at once. One walk over K, whose loads run
    STAGES blocks ahead, serves all COUNT products. Returns four products, those beyond COUNT zero.
    """
    rows = tl.arange(0, BLOCK_B)
    left += rows[:, None] * WIDTH
    right += columns[None, :] * K
    inside = (columns < LIMIT)[None, :]
    p_0 = tl.zeros((BLOCK_B, columns.shape[0]), tl.float32)
    p_1, p_2, p_3 = p_0, p_0, p_0
    for start in tl.range(0, K, BLOCK_K, num_stages=STAGES):
        k = start + tl.arange(0, BLOCK_K)
        a = tl.load(left + k[None, :], mask=(k < K)[None, :], other=0)
        here, block = (k < K)[:, None] & inside, right + k[:, None]
        p_0 = tl.dot(a, tl.load(block, mask=here, other=0), p_0, input_precision=PRECISION)
        if COUNT > 1:
            b = tl.load(block + LIMIT * K, mask=here, other=0)
            p_1 = tl.dot(a, b, p_1, input_precision=PRECISION)
        if COUNT > 2:
            b = tl.load(block + 2 * LIMIT * K, mask=here, other=0)
            p_2 = tl.dot(a, b, p_2, input_precision=PRECISION)
        if COUNT > 3:
            b = tl.load(block + 3 * LIMIT * K, mask=here, other=0)
            p_3 = tl.dot(a, b, p_3, input_precision=PRECISION)
    return p_0, p_1, p_2, p_3


@triton.jit
def tile(lengths, order, T, B, RAGGED: tl.constexpr, BLOCK_B: tl.constexpr):
    """This program's sequences: their indices in the batch, whether they exist, their lengths.

    ``order`` lists the sequences by length, so that those of a tile end at about the same time.
    """
    place = tl.program_id(0).to(tl.int64) * BLOCK_B + tl.arange(0, BLOCK_B)
    exists = place < B
    if RAGGED:
        row = tl.load(order + place, mask=exists, other=0)
        length = tl.load(lengths + row, mask=exists, other=0)
    else:
        row = place
        length = tl.where(exists, T, 0).to(tl.int64)
    return row, exists, length
