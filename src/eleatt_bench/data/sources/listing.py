"""What lies in a folder or an archive: which files count, and what is left alone and why."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_SYSTEMS = frozenset({
    "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "lost+found", "@eadir",
})  # fmt: skip
_ARCHIVES = (
    ".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".z",
)  # fmt: skip
_NAMED = 3  # files in a sentence


def is_systems(name: str) -> bool:
    """Whether a file or folder of that name is the operating system's and no part of a release."""
    return name.startswith(".") or name.casefold() in _SYSTEMS


def shown(path: Path | PurePosixPath | str) -> str:
    """``path`` for a message, with escapes for characters that are not printable."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


@dataclass
class _Tally:
    """A number of files, and the names of the first few."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(shown(name))

    def __str__(self) -> str:
        more = f" and {self.count - _NAMED:,} more" if self.count > _NAMED else ""
        return ", ".join(self.first) + more


@dataclass
class LeftOut:
    """What a source holds that was not taken for a part of the release."""

    systems: _Tally = field(default_factory=_Tally)
    archives: _Tally = field(default_factory=_Tally)
    others: _Tally = field(default_factory=_Tally)
    links: _Tally = field(default_factory=_Tally)  # to nowhere, or to what is read anyway

    def add(self, below: PurePosixPath) -> None:
        """Note a file that is no part of the release, by its path."""
        ending = below.name.casefold().endswith(_ARCHIVES)
        (self.archives if ending else self.others).add(str(below))

    def lines(self) -> tuple[str, ...]:
        """What was left out and why, a line for each reason."""
        reasons = (
            (
                self.systems,
                "files or folders of the operating system (hidden, __MACOSX and the like)",
            ),
            (self.archives, "archives inside it, which are not opened"),
            (self.links, "links that lead nowhere, or to a folder that is read anyway"),
            (self.others, "other files, which no sample is called like"),
        )
        return tuple(f"{tally.count:,} {why}: {tally}" for tally, why in reasons if tally.count)


def walk(top: Path, left: LeftOut) -> Iterator[tuple[PurePosixPath, Path]]:
    """Every file below ``top``, also behind links to folders: each folder once.

    A link is not followed if its folder was read already, or if ``top`` lies in that folder.

    Raises:
        OSError: a folder that cannot be listed.
    """
    above = {_identity(parent) for parent in (top.resolve(), *top.resolve().parents)}
    seen = set(above)
    folders, links = deque([PurePosixPath()]), deque[PurePosixPath]()
    while folders or links:
        if folders:  # real folders before any link to them
            folder = folders.popleft()
        else:
            folder = links.popleft()
            if _identity(top / folder) in seen:
                left.links.add(str(folder))
                continue
            seen.add(_identity(top / folder))
        with os.scandir(top / folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            below = folder / entry.name
            if is_systems(entry.name):
                left.systems.add(str(below))
            elif entry.is_dir(follow_symlinks=False):
                if _identity(top / below) not in seen:
                    seen.add(_identity(top / below))
                    folders.append(below)
            elif entry.is_symlink() and Path(entry).is_dir():
                links.append(below)
            else:
                yield below, top / below


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
