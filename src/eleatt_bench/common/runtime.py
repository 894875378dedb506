"""How threads wait and where memory comes from, said before the libraries that compute are loaded.

What the user's environment says of it holds, and no number of any result depends on it.
"""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # M_… of glibc's malloc.h
_MOST = 2**31 - 1  # bytes: no larger one can be said


def settle_libraries() -> None:
    """Settle this process, and those that it starts; only a command does that, no import."""
    # OpenMP's threads would spin between small operations: ruinous as soon as cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # NumPy has nothing to multiply here that is worth the time its threads take to start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_memory()


def keep_memory() -> None:
    """Let malloc keep what is freed for what is asked for next.

    glibc maps each block of more than 32 MB anew and gives it back as soon as it is free, and the
    end of its heap as well: at every step of a training the kernel clears all pages of such arrays.
    The malloc of musl or macOS has no such switch, and stays as it is.
    """
    said = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    if said or sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _MOST)
