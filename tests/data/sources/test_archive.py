"""Folders and archives: found alike, read alike, and refused where they are not to be trusted."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.sources.archive import Source

TEXT = re.compile(r"(?:.*/)?[a-z]+\.txt")
COMMAND = "prepare it --source PATH"


def source(path: Path) -> Source:
    return Source(path, "the release", COMMAND)


def contents(path: Path) -> dict[str, bytes]:
    return {str(member.path): member.load() for member in source(path).find(TEXT)}


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
    expected = ["a/z.txt", "a-b/x.txt", "a.txt", "b/a.txt"]  # by parts: "a" before "a-b"
    assert list(contents(top).items()) == [(name, name.encode()) for name in expected]
    assert list(contents(zipped(top))) == [f"top/{name}" for name in expected]


def test_where_names_the_file(tmp_path: Path, zipped) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "a.txt").touch()
    assert [m.where for m in source(top).find(TEXT)] == [str(top / "a.txt")]
    path = zipped(top)
    assert [m.where for m in source(path).find(TEXT)] == [f"{path}/top/a.txt"]


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("\x1b[2J/a.txt", b""))
    (tmp_path / "\x1b[2J").mkdir()
    (tmp_path / "\x1b[2J" / "a.txt").touch()
    assert [m.where for m in source(path).find(TEXT)] == [f"{path}/\\x1b[2J/a.txt"]
    assert [m.where for m in source(tmp_path).find(TEXT)] == [f"{tmp_path}/\\x1b[2J/a.txt"]


def test_backslashes_of_windows_archives(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("top\\sub\\a.txt", b"1"))
    assert contents(path) == {"top/sub/a.txt": b"1"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.zip does not exist: give the release, .* prepare it"):
        source(tmp_path / "no.zip").find(TEXT)


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "x/../../a.txt", "x\\..\\..\\a.dat"])
def test_a_member_that_climbs_out(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", b""), (name, b""))
    with pytest.raises(UserError, match="would leave its folder and is not to be trusted: fetch"):
        source(path).find(TEXT)


def test_a_member_that_is_a_link(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make_zip(tmp_path / "x.zip", (link, b"/etc/passwd"))
    (member,) = source(path).find(TEXT)
    with pytest.raises(UserError, match=r"x\.zip/a\.txt is a link, not a file: fetch the release"):
        member.load()


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", b"1"))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    (member,) = source(path).find(TEXT)
    with pytest.raises(UserError, match=r"a\.txt is encrypted: unpack the archive and give its"):
        member.load()


def test_what_would_fill_the_memory(tmp_path: Path) -> None:
    contents = {"a.txt": b"0" * 11, "b.txt": b"0" * 10}
    make_zip(tmp_path / "x.zip", *contents.items())
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / "x.zip"):
        first, second = Source(path, "the release", COMMAND, largest=10).find(TEXT)
        with pytest.raises(UserError, match=r"a\.txt is too large for such a file \(11 bytes\)"):
            first.load()
        assert second.load() == b"0" * 10


def test_a_member_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("a.txt", bytes(1 << 20)))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 9)))
    (member,) = source(path).find(TEXT)
    with pytest.raises(UserError, match=r"a\.txt cannot be unpacked \(Bad CRC-32"):
        member.load()


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")
    for member in source(tmp_path).find(TEXT):
        with pytest.raises(UserError, match=r"[ab]\.txt is not a file: fetch the release again"):
            member.load()


def test_a_link_in_a_folder_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    (tmp_path / "a.txt").symlink_to("data")
    assert contents(tmp_path) == {"a.txt": b"1"}


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"\x1f\x8b tar")
    with pytest.raises(UserError, match=r"is not a zip archive|cut short or not a zip archive"):
        source(path).find(TEXT)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
