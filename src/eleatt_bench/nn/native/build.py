"""The compiled library behind the backend ``native``: built once per machine, when first needed.

Building takes a C++ compiler with OpenMP (``$CXX``, or ``c++``, ``g++``, ``clang++``), but no
header of torch. Libraries lie below ``$TORCH_EXTENSIONS_DIR`` (default
``~/.cache/torch_extensions``), named after what decides their content: source, flags and processor.
If several processes need a library, one builds it and the others wait; the lock is the operating
system's, so it ends with the process that holds it. A library is not loaded if another user may
write to it or to its folder: it could be any code.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from eleatt_bench.nn.contract import BackendError

_SOURCES = Path(__file__).parent / "csrc"
_FLAGS = (
    *("-std=c++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math"),  # change no value, but let loops be vectorised
)
_SECONDS = 300  # the longest that a build may take


def library() -> ctypes.CDLL:
    """The loaded library, built first if need be.

    Raises BackendError with the reason that `why_no_library` gives.
    """
    found = _library()
    if isinstance(found, BackendError):
        raise found
    return found


def why_no_library() -> str | None:
    """Why there is no library, as a sentence; None if there is one.

    The reasons: an untried platform, no compiler, a failed build, a folder that cannot be written
    or that others may write.
    """
    found = _library()
    return str(found) if isinstance(found, BackendError) else None


def library_path() -> Path:
    """Where the library for this source and this processor lies, or will lie.

    Raises BackendError if there is no folder for it.
    """
    digest = hashlib.sha256(" ".join((*_FLAGS, _processor())).encode())
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.read_bytes())
    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    try:
        folder = Path(root) if root else Path.home() / ".cache" / "torch_extensions"
    except RuntimeError as error:  # no $HOME, and a user whom the system does not know
        raise BackendError(
            f"there is no home folder to keep the library in ({error}): set TORCH_EXTENSIONS_DIR"
        ) from error
    return folder / "eleatt_bench" / f"layer-{digest.hexdigest()[:16]}.so"


@functools.cache
def _library() -> ctypes.CDLL | BackendError:
    """The library, or why there is none; found out once per process."""
    try:
        if not sys.platform.startswith("linux"):
            raise BackendError(f"it was never tried on {sys.platform}")
        path = library_path()
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _check_owner(path.parent)
        if not path.exists():
            _build(path)
        for place in (path, path.resolve().parent):
            _check_owner(place)
        loaded = _load(path)
    except BackendError as error:
        return error
    except OSError as error:  # a folder that cannot be made or written to
        return BackendError(str(error))
    return loaded


def _check_owner(place: Path) -> None:
    """BackendError if anybody except this user and root may write to ``place``."""
    status = place.stat()
    why = None
    if status.st_uid not in (0, os.getuid()):
        why = f"belongs to another user ({status.st_uid})"
    elif status.st_mode & 0o022:
        why = f"may be written by other users (mode {status.st_mode & 0o777:o})"
    if why is not None:
        raise BackendError(
            f"{place} {why}, and what they put there would be run: delete it, or set "
            "TORCH_EXTENSIONS_DIR to a folder of your own"
        )


def _load(path: Path) -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:  # a damaged file, a folder from which nothing may be executed
        raise BackendError(f"{error}: delete it, or set TORCH_EXTENSIONS_DIR") from error
    for name in ("forward_float32", "forward_float64", "backward_float32", "backward_float64"):
        getattr(loaded, f"eleatt_{name}").restype = ctypes.c_int64
    return loaded


def _processor() -> str:
    """What ``-march=native`` depends on."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    kinds = {"vendor_id", "cpu family", "model", "flags", "Features", "CPU part"}
    return platform.machine() + "".join(
        sorted({line for line in lines if line.partition(":")[0].strip() in kinds})
    )


def _build(path: Path) -> None:
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_SECONDS):
            if not path.exists():  # or another process built it while this one waited
                _compile(path)
    except Timeout:
        raise BackendError(f"another process has been building {path} for too long") from None


def compiler() -> list[str]:
    """The command of the C++ compiler, ``$CXX`` or one found here; BackendError without any."""
    try:
        named = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise BackendError(f"CXX={os.environ['CXX']} is no command ({error})") from error
    candidates = named[:1] or ["c++", "g++", "clang++"]
    found = next(filter(None, map(shutil.which, candidates)), None)
    if found is None:
        raise BackendError(f"there is no C++ compiler ({', '.join(candidates)}): install g++")
    return [found, *named[1:]]


def _compile(path: Path) -> None:
    program = compiler()
    for abandoned in path.parent.glob(f".{path.name}.*.tmp"):  # by a killed process
        abandoned.unlink()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    command = [*program, *_FLAGS, str(_SOURCES / "layer.cpp"), "-o", str(unfinished)]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_SECONDS, umask=0o022
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"{shlex.join(program)} took more than {_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        said = next((line for line in error.stderr.splitlines() if "error" in line), error.stderr)
        raise BackendError(f"{shlex.join(program)} failed: {said.strip()}") from None
    unfinished.replace(path)
