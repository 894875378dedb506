"""Lanes, by which the arrays of a sweep share the number of jobs that may run at once."""

from __future__ import annotations

from collections.abc import Iterable


class Lanes:
    """How arrays that are submitted together share the ``parallel`` jobs that may run at once.

    Each lane has a part of that number, and its arrays run one after the other. All of them run
    after the arrays that were submitted ``before``. With ``parallel`` None no array waits.
    """

    def __init__(self, parallel: int | None, arrays: int, before: Iterable[str]) -> None:
        self._parallel, self._count = parallel, min(parallel or 1, arrays)
        self._last = dict.fromkeys(range(self._count), sorted(before, key=int))

    def of(self, number: int) -> tuple[str, list[str]]:
        """The limit of array ``number`` in sbatch's words, and the dependencies it waits for."""
        if self._parallel is None:
            return "", []
        lane = number % self._count
        share, rest = divmod(self._parallel, self._count)
        last = self._last[lane]
        return f"%{share + (lane < rest)}", [f"afterany:{':'.join(last)}"] if last else []

    def add(self, number: int, array: str) -> None:
        """Note that array ``number`` was submitted as ``array``."""
        self._last[number % self._count] = [array]

    @property
    def last(self) -> set[str]:
        """The last array of each lane: once these have ended, all arrays have."""
        return {array for arrays in self._last.values() for array in arrays}
