"""How the arrays of a sweep share the number of its jobs that may run at once."""

from __future__ import annotations

from collections.abc import Iterable


class Lanes:
    """How arrays that are submitted together share the ``parallel`` jobs that may run at once.

    Each lane has a part of them, and arrays in it come one after the other; all come after those
    that were submitted ``before``. Without a limit there are none.
    """

    def __init__(self, parallel: int | None, arrays: int, before: Iterable[str]) -> None:
        self._parallel, self._count = parallel, min(parallel or 1, arrays)
        self._last = dict.fromkeys(range(self._count), sorted(before, key=int))

    def of(self, number: int) -> tuple[str, list[str]]:
        """What array ``number`` adds to sbatch's words: its limit, and what it comes after."""
        if self._parallel is None:
            return "", []
        lane = number % self._count
        share, rest = divmod(self._parallel, self._count)
        last = self._last[lane]
        return f"%{share + (lane < rest)}", [f"afterany:{':'.join(last)}"] if last else []

    def add(self, number: int, array: str) -> None:
        """It was submitted as ``array``."""
        self._last[number % self._count] = [array]

    @property
    def last(self) -> set[str]:
        """The arrays after whose end all have ended."""
        return {array for arrays in self._last.values() for array in arrays}
