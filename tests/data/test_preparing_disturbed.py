"""Preparing a store while disks fill up, permissions lack, and processes are killed.

Whatever happens, the old store is there or the new one, whole; and the same command then works.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.data import catalog
from eleatt_bench.data.verification import verify

OLD = b"the old store"
NOBODY = 65534
ROOT = os.geteuid() == 0

FORKING = """
    import itertools, json, os, resource, signal, sys, traceback
    import filelock, h5py, mmap  # what is imported late, another user may not be able to read
    from pathlib import Path
    from eleatt_bench.data import catalog
    from eleatt_bench.data.sources import ntu
    from eleatt_bench.common.errors import UserError

    def before(call, numbers, value):
        def counted(*arguments, **options):
            if next(numbers) == value:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)
        return counted

    def disturb(how, value):
        if how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (value, value))
        elif how == "user":
            os.setgroups([])
            os.setgid(value)
            os.setuid(value)
        elif how == "kill":
            numbers = itertools.count(1)
            for call in ("fsync", "replace", "rename", "link", "unlink"):
                setattr(os, call, before(getattr(os, call), numbers, value))

    def child(how, value, name, data_dir, source):
        disturb(how, value)
        try:
            return f"{len(catalog.prepare(Path(data_dir), name, Path(source)).names)} good"
        except UserError as error:
            return str(error)

    ntu.missing()
    for line in sys.stdin:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.write(theirs, child(*json.loads(line)).encode())
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(theirs)
        with open(ours, "rb") as answer:
            said = answer.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps([status, said]), flush=True)
"""

Prepare = Callable[..., str]


@pytest.fixture(scope="module")
def prepare() -> Iterator[Prepare]:
    """Prepare a store in a process of its own, which is disturbed; what was said, or nothing.

    "limit": none of its files may have more bytes; "user": the number of the user it runs as;
    "kill": it kills itself before that of its calls which change what files are called, or sync
    them.
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FORKING)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def ask(how: str, value: int, name: str, data_dir: Path, source: Path) -> str:
            request = json.dumps([how, value, name, str(data_dir), str(source)])
            print(request, file=asked, flush=True)
            status, said = json.loads(answers.readline())
            assert status == 0 or (how == "kill" and (status, said) == (-signal.SIGKILL, ""))
            return str(said)

        yield ask


def put_old(data_dir: Path, name: str) -> Path:
    path = catalog.store_path(data_dir, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(OLD)
    return path


def is_as_before(path: Path) -> bool:
    names = {p.name for p in path.parent.iterdir()}
    return path.read_bytes() == OLD and names <= {path.name, f".{path.stem}.lock"}


def test_a_file_that_cannot_grow(tmp_path: Path, publish, prepare: Prepare) -> None:
    """In place of a full disk, where these cannot be made: the store needs some 10 kB."""
    source = publish("nucla", tmp_path).source
    path = put_old(tmp_path, "nucla")
    for limit in range(0, 9_000, 300):
        said = prepare("limit", limit, "nucla", tmp_path, source)
        assert said == (
            f"Cannot write to {path.parent} (File too large): mend that, or choose another folder "
            "with ELEATT_DATA=FOLDER, then run the same command again"
        )
        assert is_as_before(path)
    assert prepare("limit", 1 << 20, "nucla", tmp_path, source) == "6 good"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not ROOT, reason="needs root, to mount")
def test_a_full_disk(tmp_path: Path, small_disk: Path, publish) -> None:
    """More and more room, until the store fits, in this very process."""
    release = publish("nucla", tmp_path)
    said = []
    for kilobytes in range(12, 60, 4):
        size = f"remount,size={kilobytes}k"
        subprocess.run(["mount", "-o", size, str(small_disk)], check=True)
        path = put_old(small_disk, "nucla")
        try:
            said.append(f"{len(catalog.prepare(small_disk, 'nucla', release.source).names)} good")
            break
        except UserError as error:
            said.append(str(error))
            assert is_as_before(path)
    assert len(said) > 3
    for sentence in said[:-1]:
        assert sentence.startswith(f"Cannot write to {path.parent} (No space left on device): ")
    assert said[-1] == "6 good"


@pytest.mark.parametrize("name", ["ntu", "nucla", "sysu", "shrec17", "dhg"])
def test_what_may_not_be_read_or_written(publish, prepare: Prepare, name: str) -> None:
    """By another user than root, who may do everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        top = Path(folder)
        release = publish(name, top)
        archive = Path(shutil.make_archive(str(top / "archive"), "zip", release.source))
        path = put_old(top, name)
        for owned in (top, *top.rglob("*")) if ROOT else ():
            os.chown(owned, NOBODY, NOBODY)
        how = ("user" if ROOT else "", NOBODY, name, top)

        file = next(iter(release.files.values()))
        for unreadable, mode, source in (
            (file, 0, release.source),
            (file.parent, 0, release.source),
            (file.parent, 0o400, release.source),
            (archive, 0, archive),
        ):
            before = unreadable.stat().st_mode
            unreadable.chmod(mode)
            said = prepare(*how, source)
            unreadable.chmod(before)
            assert said.startswith(str(unreadable))
            assert " cannot be read (Permission denied): mend its permissions or its disk" in said
            assert is_as_before(path)
        assert prepare(*how, release.source) == f"{len(release.files)} good"
        path.parent.chmod(0o500)
        said = prepare(*how, release.source)
        assert said.startswith(f"Cannot write to {path.parent} (Permission denied): mend that, or")
        path.parent.chmod(0o700)


def test_killed_before_every_call_that_matters(tmp_path: Path, publish, prepare: Prepare) -> None:
    source = publish("shrec17", tmp_path).source
    path = put_old(tmp_path, "shrec17")
    number = 1
    while not (said := prepare("kill", number, "shrec17", tmp_path, source)):
        if path.read_bytes() != OLD:
            verify(tmp_path, "shrec17")
        put_old(tmp_path, "shrec17")
        number += 1
    assert said == "6 good"
    assert number > 4
    verify(tmp_path, "shrec17")
    assert {p.name for p in path.parent.iterdir()} <= {"shrec17.h5", ".shrec17.lock"}
