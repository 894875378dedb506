"""What a file really is, by its first bytes, so that an error's remedy fits what is there."""

from __future__ import annotations

import codecs
import re
import zlib
from typing import NamedTuple

HEAD = 1 << 10  # bytes that are enough to tell

_WEB_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype|html|head|body|title|script|meta)\b",
    re.IGNORECASE | re.DOTALL,
)
_UNPACK = "unpack it and give its folder"
_PACKED = (
    (b"PK\x03\x04", "is a zip archive"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"PK\x07\x08", "is the first part of a zip archive in several parts"),
    (b"\x1f\x8b", "is compressed by gzip"),
    (b"BZh", "is compressed by bzip2 (as .tar.bz2 is)"),
    (b"\xfd7zXZ\x00", "is compressed by xz (as .tar.xz is)"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd (as .tar.zst is)"),
    (b"\x1f\x9d", "is compressed by compress (as .tar.Z is)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    (b"Rar!\x1a\x07", "is a rar archive"),
)
_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16: this mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack",
    98: "PPMd", 99: "AES encryption",
}  # fmt: skip
"""The methods of packing a member of a zip archive that cannot be unpacked here."""
UNPACKABLE = frozenset({0, 8, 12, 14})
"""The methods that can be unpacked here: none, Deflate, bzip2 and LZMA."""


class Kind(NamedTuple):
    """``what`` follows the file's name, ``advice`` begins the remedy; {package} is the release."""

    what: str
    advice: str


def foreign(head: bytes) -> Kind | None:
    """What a file that begins with ``head`` is instead of a release's file; None if unknown."""
    if _WEB_PAGE.match(head):
        return Kind(
            "is a web page, not the file that its name promises",
            "log in or take the direct link to fetch {package} itself",
        )
    if head.startswith(b"version https://git-lfs"):
        return Kind("is a pointer of Git LFS, not the file itself", "git lfs pull")
    if head[257:262] == b"ustar" or _of_gzip(head)[257:262] == b"ustar":
        return Kind("is a tar archive", _UNPACK)
    for magic, what in _PACKED:
        if head.startswith(magic):
            return Kind(what, _UNPACK)
    return None


def _of_gzip(head: bytes) -> bytes:
    """The first bytes of what gzip compressed; nothing if ``head`` is not from a gzip file."""
    try:
        return zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        return b""


def wide(content: bytes) -> str | None:
    """``UTF-16`` or ``UTF-32`` if a text is in that; UTF-32 only with a byte order mark."""
    for mark, name in _WIDE:
        if content.startswith(mark):
            return name
    head = content[:HEAD]
    zeros = sorted(half.count(0) / max(1, len(half)) for half in (head[0::2], head[1::2]))
    return "UTF-16" if zeros[0] < 0.1 and zeros[1] > 0.9 else None
