"""Folders and archives: found alike, read alike, and refused where they are not to be trusted."""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources import archive
from eleatt_bench.data.sources.archive import Source

TEXT = re.compile(r"(?:.*/)?[a-z]+\.txt")
COMMAND = "prepare it --source PATH"


def source(path: Path) -> Source:
    return Source(path, "the release", COMMAND)


def contents(path: Path) -> dict[str, bytes]:
    return {str(member.path): member.load() for member in source(path).find(TEXT, "a.txt")}


def make_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def test_folder_and_archive_give_the_same_in_the_same_order(tmp_path: Path, zipped) -> None:
    top = tmp_path / "top"
    for name in ("b/a.txt", "a.txt", "a/z.txt", "a/c.dat", "a-b/x.txt", "a/B.txt"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "dir.txt").mkdir()
    expected = ["a/B.txt", "a/z.txt", "a-b/x.txt", "a.txt", "b/a.txt"]  # by parts: "a" before "a-b"
    assert list(contents(top).items()) == [(name, name.encode()) for name in expected]
    assert list(contents(zipped(top))) == [f"top/{name}" for name in expected]


def test_where_names_the_file(tmp_path: Path, zipped) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "a.txt").touch()
    assert [m.where for m in source(top).find(TEXT, "a.txt")] == [str(top / "a.txt")]
    path = zipped(top)
    assert [m.where for m in source(path).find(TEXT, "a.txt")] == [f"{path}/top/a.txt"]


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("\x1b[2J/a.txt", b""))
    (tmp_path / "\x1b[2J").mkdir()
    (tmp_path / "\x1b[2J" / "a.txt").touch()
    assert [m.where for m in source(path).find(TEXT, "a.txt")] == [f"{path}/\\x1b[2J/a.txt"]
    assert [m.where for m in source(tmp_path).find(TEXT, "a.txt")] == [f"{tmp_path}/\\x1b[2J/a.txt"]


def test_backslashes_of_windows_archives(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("top\\sub\\a.txt", b"1"))
    assert contents(path) == {"top/sub/a.txt": b"1"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.zip does not exist: give the release, .* prepare it"):
        source(tmp_path / "no.zip").find(TEXT, "a.txt")


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "x/../../a.txt", "x\\..\\..\\a.dat"])
def test_a_member_that_climbs_out(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", b""), (name, b""))
    with pytest.raises(UserError, match="would leave its folder and is not to be trusted: fetch"):
        source(path).find(TEXT, "a.txt")


def test_a_member_that_is_a_link(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make_zip(tmp_path / "x.zip", (link, b"/etc/passwd"))
    (member,) = source(path).find(TEXT, "a.txt")
    with pytest.raises(UserError, match=r"x\.zip/a\.txt is a link, not a file: fetch the release"):
        member.load()


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", b"1"))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    (member,) = source(path).find(TEXT, "a.txt")
    with pytest.raises(UserError, match=r"a\.txt is encrypted: unpack the archive and give its"):
        member.load()


def test_what_would_fill_the_memory(tmp_path: Path) -> None:
    contents = {"a.txt": b"0" * 11, "b.txt": b"0" * 10}
    make_zip(tmp_path / "x.zip", *contents.items())
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / "x.zip"):
        first, second = Source(path, "the release", COMMAND, largest=10).find(TEXT, "a.txt")
        with pytest.raises(UserError, match=r"a\.txt is too large for such a file \(11 bytes\)"):
            first.load()
        assert second.load() == b"0" * 10


def test_a_member_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", bytes(1 << 20)))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 9)))
    (member,) = source(path).find(TEXT, "a.txt")
    with pytest.raises(UserError, match=r"a\.txt cannot be unpacked \(Bad CRC-32"):
        member.load()


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    for member in source(tmp_path).find(TEXT, "a.txt"):
        with pytest.raises(UserError, match=r"[ab]\.txt is not a file: fetch the release again"):
            member.load()


def test_a_link_in_a_folder_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    (tmp_path / "a.txt").symlink_to("data")
    assert contents(tmp_path) == {"a.txt": b"1"}


def tar(compression: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{compression}") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return file.getvalue()


PAGE = b"  <!doctype HTML>\n<html><body>Please log in</body></html>"
OTHERS = {
    "page": (PAGE, "is a web page, not the file that its name promises: log in or take the direct"),
    "page with a mark": (b"\xef\xbb\xbf<!-- saved --><HTML>", "is a web page"),
    "xhtml": (b'<?xml version="1.0"?>\n<html xmlns="x">', "is a web page"),
    "tar": (tar(""), "is a tar archive: unpack it and give its folder, then"),
    "tar.gz": (tar("gz"), "is a tar archive: unpack it and give its folder, then"),
    "gz": (gzip.compress(b"0.1"), "is compressed by gzip: unpack it"),
    "tar.xz": (tar("xz"), "is compressed by xz"),
    "tar.bz2": (tar("bz2"), "is compressed by bzip2"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(26), "is a 7z archive: unpack it"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(26), "is a rar archive: unpack it"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the"),
}


@pytest.mark.parametrize(("content", "says"), OTHERS.values(), ids=OTHERS)
def test_something_else_is_called_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    """In place of the archive, of a file in a folder, and of one in an archive."""
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.zip {says}.*{COMMAND}$"):
        source(path).find(TEXT, "a.txt")
    (tmp_path / "a.txt").write_bytes(content)
    archive = make_zip(tmp_path / "y.zip", ("a.txt", content))
    for place in (tmp_path, archive):
        (member,) = source(place).find(TEXT, "a.txt")
        with pytest.raises(UserError, match=rf"a\.txt {says}.*{COMMAND}$"):
            member.load()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: fetch the release again"),
        (b"0.1 0.2\n", "is not a zip archive"),
        (b"PK\x03\x04" + bytes(99), r"is cut short \(.*\): fetch the release again"),
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.zip {says}"):
        source(path).find(TEXT, "a.txt")


def test_a_single_file_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0.1")
    with pytest.raises(UserError, match=r"a\.txt is a single file of the release: give the folder"):
        source(tmp_path / "a.txt").find(TEXT, "a.txt")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    with pytest.raises(UserError, match=r"x\.zip is neither a folder nor a file: give the release"):
        source(tmp_path / "x.zip").find(TEXT, "a.txt")


@pytest.mark.parametrize(
    ("method", "says"), [(9, "Deflate64"), (93, "Zstandard"), (99, "AES"), (77, "method 77")]
)
def test_a_packing_that_python_does_not_know(tmp_path: Path, method: int, says: str) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", b"1"))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 10
    content[at : at + 2] = struct.pack("<H", method)
    path.write_bytes(content)
    (member,) = source(path).find(TEXT, "a.txt")
    with pytest.raises(UserError, match=rf"a\.txt is packed by {says}.*: unpack the archive and"):
        member.load()


def test_a_table_of_contents_without_end(tmp_path: Path, monkeypatch) -> None:
    path = make_zip(tmp_path / "x.zip", *((f"{n}", b"") for n in range(99)), ("a.txt", b""))
    assert list(contents(path)) == ["a.txt"]
    monkeypatch.setattr(archive, "_CONTENTS", 3_000)
    with pytest.raises(UserError, match=r"x\.zip has a table of contents of [45],\d+ bytes: fetch"):
        source(path).find(TEXT, "a.txt")


SYSTEMS = [
    ".DS_Store", "._a.txt", ".AppleDouble/a.txt", "top/.AppleDouble/deep/a.txt", ".git/b.txt",
    "__MACOSX/top/a.txt", "__MACOSX/._a.txt", "top/__macosx/a.txt", "top/.hidden.txt",
    "@eaDir/a.txt", "$RECYCLE.BIN/a.txt", "Thumbs.db",
]  # fmt: skip


def test_what_is_the_systems_is_left_alone_and_counted(tmp_path: Path, zipped) -> None:
    top = tmp_path / ".cache" / "top"  # the path itself may well be hidden
    for name in (*SYSTEMS, "top/a.txt", "README"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    found = source(top)
    assert [str(member.path) for member in found.find(TEXT, "a.txt")] == ["top/a.txt"]
    systems, others = found.left_out.lines()
    assert systems.startswith("11 files or folders of the operating system")  # folders count once
    assert others == "1 other files, which no sample is called like: README"
    found = source(zipped(top))
    assert [str(member.path) for member in found.find(TEXT, "a.txt")] == ["top/top/a.txt"]
    assert found.left_out.lines()[0].startswith("12 files or folders of the operating")


def test_capital_letters(tmp_path: Path, zipped) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for name in ("a.TXT", "B.txt", "C.Txt"):
        (top / name).write_text(name)
    assert list(contents(top)) == ["B.txt", "C.Txt", "a.TXT"]
    assert len(contents(zipped(top))) == 3


def test_links_to_folders_are_followed_each_folder_once(tmp_path: Path) -> None:
    top, other = tmp_path / "top", tmp_path / "other"
    for folder in (top / "real", other / "deep"):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text(str(folder))
    (top / "a-link").symlink_to(other)  # sorts before what is really there
    (top / "again").symlink_to(other / "deep")
    (top / "loop").symlink_to(top)
    (top / "out").symlink_to(tmp_path)
    (top / "real" / "up").symlink_to("..")
    (other / "deep" / "back").symlink_to(top / "real")
    (top / "nowhere").symlink_to(tmp_path / "gone")
    found = source(top)
    members = found.find(TEXT, "a.txt")
    assert [str(m.path) for m in members] == ["a-link/deep/a.txt", "real/a.txt"]
    assert [m.load().decode() for m in members] == [str(other / "deep"), str(top / "real")]
    (line,) = found.left_out.lines()
    assert line.startswith("6 links that lead nowhere, or to a folder that is read anyway: ")


def test_a_link_that_became_a_text(tmp_path: Path) -> None:
    """As version control and archives leave them where there are no links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "data").write_text("../real\n")
    says = (
        r"top has no file called like a\.txt, but data is a link that became a text: .*/real: give"
    )
    with pytest.raises(UserError, match=says):
        source(tmp_path / "top").find(TEXT, "a.txt")


def test_what_is_there_instead_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file called like a\.txt \(it holds nothing\): give"):
        source(tmp_path).find(TEXT, "a.txt")
    for name in ("1.csv", "2.csv", "3.csv", "4.csv"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"\(it holds 1\.csv, 2\.csv, 3\.csv and 1 more\): give"):
        source(tmp_path).find(TEXT, "a.txt")
    make_zip(tmp_path / "all.ZIP", ("a.txt", b""))
    with pytest.raises(UserError, match=r", but it holds all\.ZIP: give that to prepare it"):
        source(tmp_path).find(TEXT, "a.txt")
    (tmp_path / "more.tar.gz").touch()
    with pytest.raises(UserError, match=r"holds all\.ZIP, more\.tar\.gz: unpack what belongs to"):
        source(tmp_path).find(TEXT, "a.txt")
    inner = make_zip(tmp_path / "x.zip", ("y/all.zip", b""))
    with pytest.raises(UserError, match=r"x\.zip has no .*, but it holds y/all\.zip: unpack"):
        source(inner).find(TEXT, "a.txt")
    instead = {re.compile(r"(?:.*/)?\d\.csv"): "is the other release"}
    with pytest.raises(UserError, match=r" is the other release: give the release or its folder"):
        source(tmp_path).find(TEXT, "a.txt", instead)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_with_a_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(mark + b"0.1\n")
    found = source(tmp_path)
    assert found.text(*found.find(TEXT, "a.txt")) == b"0.1\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_text_in_wide_characters(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("15\n1\n0.125 0.25\n".encode(encoding))
    found = source(tmp_path)
    with pytest.raises(UserError, match=rf"a\.txt is a text in {encoding[:6].upper()}, not in UTF"):
        found.text(*found.find(TEXT, "a.txt"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_in_words(
    tmp_path: Path, damaged, one_sentence, compression: int, data
) -> None:
    """A damaged archive gives members, or a `UserError`: never another exception."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("top/a.txt", "0.1 " * 50)
        file.writestr("top/b.txt", "0.2 " * 50)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        for content in contents(path).values():
            assert content in (b"0.1 " * 50, b"0.2 " * 50)
    except UserError as error:
        one_sentence(error, "prepare it")
