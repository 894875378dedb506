"""Features of single clips on disk, so that an interrupted extraction can continue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

import numpy as np

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.files import TEMPORARY, alone, replacing
from eleatt_bench.data.store import Frames
from eleatt_bench.data.writing import filling

_ONE_AT_A_TIME = Lock()
"""NumPy reads headers by `ast`, which in Python 3.11 may fail where two threads are in it."""


class FeatureCache:
    """A file per clip in ``folder``: its features, and the digest of the clip's content.

    The folder's name says which data set and which backbone. A file is there whole or not at all,
    and is checked when it is read (zip archives carry checksums).
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def read(self, name: str, clip_digest: str) -> Frames | None:
        """The features (T, size) of clip ``name``; None if they are missing or unusable.

        A damaged file is unusable, and so are features of another content of that clip.
        """
        try:
            with _ONE_AT_A_TIME, self._path(name).open("rb") as file:
                arrays = np.load(file, allow_pickle=False)
                if str(arrays["clip"]) != clip_digest:
                    return None
                features: Frames = arrays["features"]
        except Exception:  # damage makes it raise almost anything
            return None
        fits = features.dtype == np.float32 and features.ndim == 2 and len(features) > 0
        return features if fits and features.shape[1] == self.size else None

    def write(self, name: str, clip_digest: str, features: Frames) -> None:
        """Keep the ``features`` (T, size) of clip ``name``, whose content has that digest."""
        with (
            filling(self.folder),
            replacing(self._path(name)) as temporary,
            temporary.open("wb") as out,
        ):
            np.savez(out, clip=np.array(clip_digest), features=features)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from writing here.

        Raises:
            UserError: another process is writing here, or the folder cannot be written to.
        """
        with ExitStack() as held:
            with filling(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(alone(self.folder / ".lock", wait=False))
                except BlockingIOError as error:
                    raise UserError(
                        f"Another process is writing features to {self.folder}: wait until it is "
                        "done, then run the same command again"
                    ) from error
                for path in self.folder.glob(".*.tmp"):
                    if TEMPORARY.fullmatch(path.name):  # of a killed process
                        path.unlink()
            yield

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
