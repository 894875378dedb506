"""Settings of threads and memory, made before the numerical libraries are loaded.

The user's environment variables take precedence. No number of any result depends on these settings.
"""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_… of glibc's malloc.h
_MOST = 2**31 - 1  # bytes: the largest threshold that mallopt takes


def settle_libraries() -> None:
    """Settle this process; programs that it starts inherit all except malloc's settings.

    Only a command calls this, never an import.
    """
    # OpenMP's threads would spin between small operations: ruinous as soon as cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # NumPy's matrix products here are too small to be worth starting threads for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_memory()


def keep_memory() -> None:
    """Let malloc keep freed memory for the next allocations.

    By default glibc maps each block of more than 32 MB anew and returns it when it is freed, like
    free memory at the end of its heap. The kernel then clears all pages of such arrays at every
    training step. The malloc of musl or macOS has no such switch, and stays as it is.
    """
    said = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    if said or sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _MOST)
