"""One process at a time submits what a folder of runs lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IWGRP

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import alone


@contextmanager
def submitting(folder: Path) -> Iterator[int]:
    """Hold the lock of ``folder``, so that one process at a time submits; the lock's descriptor.

    Raises:
        UserError: the folder is another user's, or its file system has no locks.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(path, variable="ELEATT_RUNS") as descriptor:
            if folder.stat().st_mode & S_IWGRP and not path.stat().st_mode & S_IWGRP:
                os.fchmod(descriptor, 0o664)
            yield descriptor
    except PermissionError as error:
        if error.filename is None or not str(error.filename).startswith(str(folder)):
            raise
        raise UserError(
            f"{error.filename} may not be written by you. Two users who share runs need a folder "
            f"that their group may write to: its owner types chmod -R g+rwXs {folder.parent}, and "
            "both umask 002. Or choose another folder with runs_dir=FOLDER"
        ) from error
