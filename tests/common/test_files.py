"""A reader sees the old content or the new, whatever happens to the writer."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eleatt_bench.common.files import replacing, temporaries, temporary_path, write_text, writing


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file.txt"
    write_text(path, "one")
    write_text(path, "två")
    assert path.read_text(encoding="utf-8") == "två"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the n", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_a_person_named_stays_and_leads_to_the_new_content(tmp_path: Path) -> None:
    link, target = tmp_path / "link.tex", tmp_path / "paper" / "table.tex"
    link.symlink_to(target)
    for text in ("one", "two"):  # at first the link leads to nothing
        with writing(link) as temporary:
            temporary.write_text(text, encoding="utf-8")
            assert temporary.parent == target.parent
        assert link.is_symlink()
        assert target.read_text(encoding="utf-8") == text
    assert list(target.parent.iterdir()) == [target]


def test_a_pipe_that_a_person_named_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with writing(path) as temporary:
        temporary.write_text("content", encoding="utf-8")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert path.is_fifo()


def test_what_a_shell_has_led_to_a_file_is_written_to(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom eleatt_bench.common.files import is_replaceable, writing\n"
        "with writing(Path('/dev/stdout')) as path: path.write_text('the table, ')\n"
        "assert not is_replaceable(Path('/dev/stdout'))\n"
    )
    log = tmp_path / "log"
    words = f"echo before; {sys.executable} -c {shlex.quote(code)}; echo after"
    subprocess.run(f"( {words} ) >>{log}", shell=True, check=True)
    assert log.read_text() == "before\nthe table, after\n"


def test_a_writer_that_is_killed_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from eleatt_bench.common.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "old"
    write_text(path, "new")  # what the dead writer left is in nobody's way
    assert path.read_text(encoding="utf-8") == "new"


def test_what_writers_left_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "[a].h5"
    names = (".[a].h5.12.tmp", ".[a].h5.7.tmp")
    others = (
        ".[a].h5-old.12.tmp", ".[a].h5.9.8.tmp", ".[a].h5.tmp", ".[a].h5.mine.tmp", ".a.h5.12.tmp",
        "[a].h5.12.tmp", ".[a].h5.12.tmp.zip",
    )  # fmt: skip
    for name in (*names, *others):
        (tmp_path / name).touch()
    assert sorted(temporaries(path)) == [(tmp_path / names[0], 12), (tmp_path / names[1], 7)]
    with replacing(path) as temporary:
        temporary.touch()
        assert temporary == temporary_path(path)
        assert (temporary, os.getpid()) in temporaries(path)


def test_a_reader_never_sees_half_of_what_a_living_writer_writes(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    code = (
        "import sys; from itertools import cycle; from pathlib import Path\n"
        "from eleatt_bench.common.files import write_text\n"
        "for letter in cycle('ab'):\n"
        "    write_text(Path(sys.argv[1]), letter * 300_000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as writer:
        try:
            seen: set[str] = set()
            give_up = time.monotonic() + 30
            while seen != {"a", "b"} and time.monotonic() < give_up:
                for _ in range(50):
                    if path.exists():
                        text = path.read_text(encoding="utf-8")
                        assert len(text) == 300_000
                        assert len(set(text)) == 1
                        seen.add(text[0])
        finally:
            writer.kill()
    assert seen == {"a", "b"}
    text = path.read_text(encoding="utf-8")
    assert (len(text), len(set(text))) == (300_000, 1)


def test_an_interrupt_is_a_failure_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_that_writes_nothing_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text(encoding="utf-8") == "old"


def test_the_temporary_file_lies_beside_the_one_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"  # a rename across file systems is no replacement
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")  # what is listed by pattern does not list it
        temporary.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"
