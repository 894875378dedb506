"""Answers that are slow to find and small to keep, in files that may be lost at any time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from eleatt_bench.common.files import write_text
from eleatt_bench.common.locations import cache_dir

_LARGEST = 1 << 26  # bytes of a file; what is larger is none of ours


class Cache:
    """Answers to questions, both plain JSON values, in ``<cache_dir>/<name>.json``.

    ``fingerprint`` stands for all that every answer depends on and no question says, such as the
    code that found it: answers of another fingerprint are forgotten. So are all of them once there
    are more than ``most``. An answer is believed if the checksum beside it is that of question and
    answer: whatever happens to the file costs time and nothing else. Two processes that write at
    once may lose what one of them has added.
    """

    def __init__(self, name: str, fingerprint: str, most: int) -> None:
        self._path = cache_dir() / f"{name}.json"
        self._fingerprint, self._most = fingerprint, most
        self._answers: dict[str, Any] | None = None  # not read yet
        self._added: dict[str, Any] = {}

    def find(self, question: Any, find: Callable[[], Any]) -> Any:
        """The answer that is kept, or else that of ``find``, which is kept if JSON can hold it."""
        if self._answers is None:
            self._answers = self._read()
        key = _key(question)
        for answers in (self._added, self._answers):
            kept = answers.get(key)
            if isinstance(kept, list) and len(kept) == 2 and kept[1] == self._sum(key, kept[0]):
                return kept[0]
        answer = find()
        if json.loads(json.dumps(answer)) == answer:
            self._added[key] = [answer, self._sum(key, answer)]
        return answer

    def write(self) -> None:
        """Write what was added, if anything, beside what others have added meanwhile."""
        if not self._added:
            return
        answers = self._read() | self._added
        if len(answers) > self._most:
            answers = dict(list(self._added.items())[-self._most :])
        with suppress(OSError):
            write_text(
                self._path, json.dumps({"fingerprint": self._fingerprint, "answers": answers})
            )

    def _sum(self, key: str, answer: Any) -> str:
        text = json.dumps([self._fingerprint, key, answer], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _read(self) -> dict[str, Any]:
        try:
            if not self._path.is_file() or self._path.stat().st_size > _LARGEST:
                return {}
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["fingerprint"] == self._fingerprint:
                return dict(content["answers"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # no file, or damaged
            pass
        return {}


def _key(question: Any) -> str:
    text = json.dumps(question, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint(files: Iterable[Path], *words: str) -> str:
    """A digest of the names and contents of ``files``, and of ``words``.

    Raises:
        OSError: a file that cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path} {len(content)}\n".encode() + content)
    digest.update("\n".join(words).encode())
    return digest.hexdigest()
