"""Summaries of the records of many runs, kept so that records are not parsed anew each time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eleatt_bench.common.cache import Cache, fingerprint
from eleatt_bench.common.files import FileState
from eleatt_bench.common.locations import package_code
from eleatt_bench.runs.identity import likeness
from eleatt_bench.runs.record import RECORD, RunFolder, run_names

Summary = dict[str, Any]
"""A record without its long and seldom used parts, and with `likeness` instead of the identity."""

LIKENESS = "likeness"
_LONG = ("identity", "overrides", "command", "versions")
_MOST = 50_000  # summaries, of a kilobyte each
_WORTH = 64  # new summaries: writing fewer takes longer than reading their records again


class Summaries:
    """The summaries of the runs below ``runs_dir``, those of thousands in a tenth of a second.

    `RunFolder.read` reads and checks a record. Its summary is kept, and used as long as the code
    and the file's `FileState`, looked up each time, stay the same. No summary is kept of a file
    that is damaged or not settled yet.
    """

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        place = hashlib.sha256(os.fsencode(runs_dir.resolve())).hexdigest()[:16]
        code = fingerprint(package_code("common", "runs"))
        self._cache = Cache(f"records/{place}", code, _MOST)

    def of(self, run_id: str) -> Summary | None:
        """The summary of one run; None if it has no record, or a damaged one."""
        file = self._file(run_id)
        return None if file is None else self._of(run_id, file)

    def every(self) -> Iterator[tuple[RunFolder, Summary | None]]:
        """Every run that has a record, by name, with its summary, or None for a damaged record."""
        for run_id in run_names(self._runs_dir):
            file = self._file(run_id)
            if file is not None:
                yield RunFolder(self._runs_dir, run_id), self._of(run_id, file)

    def _file(self, run_id: str) -> FileState | None:
        return FileState.at(f"{self._runs_dir}/{run_id}/{RECORD}")

    def _of(self, run_id: str, file: FileState) -> Summary | None:
        try:
            summary: Summary = self._cache.find(
                f"{run_id} {file.key}", lambda: self._read(run_id), keep=file.settled
            )
        except LookupError:
            return None
        return summary

    def _read(self, run_id: str) -> Summary:
        record = RunFolder(self._runs_dir, run_id).read()
        if record is None:
            raise LookupError
        return summary_of(record)

    def keep(self) -> None:
        """Write the new summaries to the cache, if there are enough of them."""
        if self._cache.added >= _WORTH:
            self._cache.write()


def summary_of(record: Mapping[str, Any]) -> Summary:
    short = {key: value for key, value in record.items() if key not in _LONG}
    return {**short, LIKENESS: likeness(record["identity"])}
