"""The files of a published release, in a folder or in a zip archive: found, and read in memory."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.release import SourceError

_ENCRYPTED = 0x1  # in a member's flags


class Member(NamedTuple):
    """One file of a source."""

    path: PurePosixPath  # below the source
    where: str  # what to call it in a message
    load: Callable[[], bytes]  # its content, or a UserError

    @property
    def shown(self) -> str:
        """The path below the source, for a message."""
        return _shown(str(self.path))


@dataclass(frozen=True)
class Source:
    """The release ``package`` at ``path``, which the user hands to ``command``."""

    path: Path
    package: str
    command: str
    largest: int = 1 << 25  # bytes; no published file of one sequence comes near

    def find(self, pattern: re.Pattern[str]) -> list[Member]:
        """The files whose path below the source, with ``/``, is matched as a whole, by path.

        Links to folders are not followed, nothing is unpacked to disk, and of an archive no
        member is read that is a link.

        Raises:
            UserError: no such path, a folder that cannot be listed, a damaged archive, or a
                member that would leave its folder. Loading a member: it is a link, encrypted,
                damaged, or cannot be read.
        """
        try:
            folder = stat.S_ISDIR(self.path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"{self.path} does not exist: give {self.package}, a folder or a zip archive, "
                f"to {self.command}"
            ) from error
        except OSError as error:
            _unreadable(error)
        members = self._in_folder(pattern) if folder else self._in_archive(pattern)
        return sorted(members, key=lambda member: member.path.parts)

    def wrong(self, where: str | Path, what: str) -> SourceError:
        """The error to raise when ``where`` is not as published: ``what`` is wrong with it."""
        return SourceError(f"{where} {what}", f"fetch {self.package} again, then {self.command}")

    def _in_folder(self, pattern: re.Pattern[str]) -> list[Member]:
        members = []
        for folder, _, names in os.walk(self.path, onerror=_unreadable):
            for name in names:
                path = Path(folder, name)
                below = PurePosixPath(path.relative_to(self.path).as_posix())
                if pattern.fullmatch(str(below)):
                    members.append(Member(below, _shown(path), partial(self._read_file, path)))
        return members

    def _read_file(self, path: Path) -> bytes:
        try:
            if not path.is_file():  # a pipe would wait for ever
                raise self.wrong(_shown(path), "is not a file")
            size = path.stat().st_size
            if size > self.largest:
                raise self.wrong(_shown(path), f"is too large for such a file ({size:,} bytes)")
            return path.read_bytes()
        except OSError as error:
            _unreadable(error)

    def _in_archive(self, pattern: re.Pattern[str]) -> list[Member]:
        try:
            archive = zipfile.ZipFile(self.path)
        except PermissionError as error:
            _unreadable(error)
        except Exception as error:  # damage makes zipfile raise almost anything
            raise UserError(
                f"{self.path} is cut short or not a zip archive ({reason(error)}): fetch "
                f"{self.package} again, or give its unpacked folder, to {self.command}"
            ) from error
        members = []
        for info in archive.infolist():
            below = PurePosixPath(info.filename.replace("\\", "/"))
            if below.is_absolute() or ".." in below.parts:
                raise self.wrong(
                    self.path,
                    f"has a member {info.filename!r} that would leave its folder and is not to "
                    "be trusted",
                )
            if pattern.fullmatch(str(below)) and not info.is_dir():
                where = _shown(self.path / below)
                load = partial(self._read_member, archive, info, where)
                members.append(Member(below, where, load))
        return members

    def _read_member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
        if stat.S_ISLNK(info.external_attr >> 16):
            raise self.wrong(where, "is a link, not a file")
        if info.flag_bits & _ENCRYPTED:
            raise SourceError(
                f"{where} is encrypted",
                f"unpack the archive and give its folder to {self.command}",
            )
        if info.file_size > self.largest:  # zipfile unpacks no more than is announced
            raise self.wrong(where, f"is too large for such a file ({info.file_size:,} bytes)")
        try:
            return archive.read(info)
        except Exception as error:  # damage makes zipfile raise almost anything
            raise self.wrong(where, f"cannot be unpacked ({reason(error)})") from error


def reason(error: Exception) -> str:
    """What ``error`` says, on one line and not too long; its type where it says nothing."""
    text = " ".join(str(error).split())
    return text[:120] if text.isprintable() and text else type(error).__name__


def _shown(path: Path | str) -> str:
    """``path`` for a message: what would steer a terminal, or is no text at all, as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))


def _unreadable(error: OSError) -> NoReturn:
    raise SourceError(
        f"{_shown(error.filename)} cannot be read ({error.strerror})",
        "mend its permissions or its disk, then run the same command again",
    ) from error
