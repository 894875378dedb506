"""The kernel that copies a layer's weights to where the two other kernels read them."""

# Triton compiles these functions; its types are not Python's.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, import-not-found"

from __future__ import annotations

import triton
import triton.language as tl

from eleatt_bench.nn.triton.kernels import rounded_for


@triton.jit(do_not_specialize=["HH", "IH", "COUNT"])
def pack(
    weight_hh, weight_ih, weight_ha,  # without gaps; the last two behind a gate, else None
    source,  # (COUNT,): indices into the weights laid end to end; below 0 a zero
    packed,  # (COUNT,)
    HH, IH,  # how many numbers weight_hh and weight_ih have
    COUNT,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Fill ``packed`` from the weights by ``source``, rounded for products in ``PRECISION``."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    number = tl.load(source + place, mask=place < COUNT, other=-1)
    pointer = weight_hh + number
    if weight_ha is not None:
        pointer = tl.where(number < HH, pointer, weight_ih + (number - HH))
        pointer = tl.where(number < HH + IH, pointer, weight_ha + (number - HH - IH))
    value = tl.load(pointer, mask=number >= 0, other=0)
    tl.store(packed + place, rounded_for(packed, value, PRECISION), mask=place < COUNT)
