"""Answers that are slow to find and small to keep, in files that may be lost at any time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eleatt_bench.common.files import read_bounded, write_bytes
from eleatt_bench.common.locations import cache_dir

_LARGEST = 1 << 26  # bytes; a larger file was not written here
_KEY = 32  # characters


class Cache:
    """Answers to questions, both plain JSON values, in ``<cache_dir>/<name>.jsonl``.

    ``fingerprint`` stands for all that answers depend on besides their questions, such as the code
    that finds them. Answers of another fingerprint are forgotten, and the oldest if there are more
    than ``most``. The first line of the file is a checksum of the fingerprint and the answers,
    which follow one a line. A file with a wrong checksum is ignored, so damage costs only time. If
    two processes write at once, the additions of one may be lost.
    """

    def __init__(self, name: str, fingerprint: str, most: int) -> None:
        self._path = cache_dir() / f"{name}.jsonl"
        self._fingerprint, self._most = fingerprint, most
        self._answers: dict[str, str] | None = None  # not read yet
        self._added: dict[str, str] = {}

    @property
    def added(self) -> int:
        """How many answers are not written yet."""
        return len(self._added)

    def find(self, question: Any, find: Callable[[], Any], *, keep: bool = True) -> Any:
        """The kept answer to ``question``, or else the result of ``find``.

        With ``keep``, a new result is kept if JSON can hold it unchanged.
        """
        if self._answers is None:
            self._answers = self._read()
        key = _key(question)
        kept = self._added.get(key) or self._answers.get(key)
        if kept is not None:
            return json.loads(kept)
        answer = find()
        if keep and json.loads(text := json.dumps(answer)) == answer:
            self._added[key] = text
        return answer

    def write(self) -> None:
        """Write the added answers, if any, and keep what other processes have added meanwhile."""
        if not self._added:
            return
        answers = self._read() | self._added
        if len(answers) > self._most:
            answers = dict(list(answers.items())[-self._most :])
        lines = "\n".join(f"{key} {answer}" for key, answer in answers.items()).encode()
        with suppress(OSError):
            write_bytes(self._path, self._sum(lines) + b"\n" + lines)

    def _sum(self, lines: bytes) -> bytes:
        digest = hashlib.sha256(f"{len(self._fingerprint)} {self._fingerprint}".encode())
        digest.update(lines)
        return digest.hexdigest().encode()

    def _read(self) -> dict[str, str]:
        try:
            content = read_bounded(self._path, _LARGEST)
        except (OSError, ValueError):
            return {}
        first, _, lines = content.partition(b"\n")
        if first != self._sum(lines):
            return {}
        return {line[:_KEY]: line[_KEY + 1 :] for line in lines.decode().split("\n")}


_AS_JSON = json.JSONEncoder(sort_keys=True).encode  # once: making one takes as long as using it


def _key(question: Any) -> str:
    return hashlib.sha256(_AS_JSON(question).encode()).hexdigest()[:_KEY]


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


def version_files(libraries: Mapping[str, str]) -> Iterator[Path]:
    """The files of ``libraries`` (name to file name) that state their versions; imports none.

    `importlib.metadata` would take as long as everything else in using the cache.
    """
    for name, file in libraries.items():
        found = find_spec(name)
        assert found is not None  # they are required
        assert found.origin is not None
        yield Path(found.origin).with_name(file)
