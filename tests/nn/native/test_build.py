"""The compiled library: built once, by one process, and never required."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eleatt_bench.nn.contract import BackendError
from eleatt_bench.nn.native import build

LAYER = """
import logging, torch
from eleatt_bench import EleAttGRU
from eleatt_bench.nn.backends import resolve_backend
logging.basicConfig(format="%(message)s")
torch.manual_seed(0)
layer = EleAttGRU(3, 2, backend={backend!r})
for _ in range(2):
    layer(torch.ones(4, 2, 3))[0].sum().backward()
print(resolve_backend({backend!r}, "cpu"))
"""


def start(
    cache: Path, backend: str = "auto", umask: int = -1, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LAYER.format(backend=backend)],
        env={**os.environ, "TORCH_EXTENSIONS_DIR": str(cache), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        umask=umask,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=280)
    return process.returncode, out.strip(), err.strip()


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_one_of_several_processes_builds_and_a_killed_one_is_in_nobodys_way(tmp_path):
    started, cache = tmp_path / "started", tmp_path / "cache"
    stuck = start(cache, CXX=script(tmp_path / "slow", f"touch {started}\nexec sleep 60"))
    while not started.exists():
        assert stuck.poll() is None
        time.sleep(0.05)
    stuck.send_signal(signal.SIGKILL)
    stuck.communicate()
    count = f'echo built >> {tmp_path / "builds"}\nexec c++ "$@"'
    both = [start(cache, CXX=script(tmp_path / "counting", count)) for _ in range(2)]
    assert [outcome(process) for process in both] == [(0, "native", "")] * 2
    assert (tmp_path / "builds").read_text() == "built\n"
    libraries = [path for path in (cache / "eleatt_bench").iterdir() if path.suffix != ".lock"]
    assert [path.suffix for path in libraries] == [".so"]


@pytest.mark.parametrize("compiler", ["absent", "failing"])
@pytest.mark.slow
def test_without_a_library_layers_run_on_scan_and_say_so_once(tmp_path, compiler):
    named = script(tmp_path / "failing", "echo 'layer.cpp:1: fatal error: none today' >&2; exit 1")
    if compiler == "absent":
        named = str(tmp_path / "absent")
    why = {"absent": "there is no C++ compiler", "failing": "layer.cpp:1: fatal error: none today"}
    returncode, out, err = outcome(start(tmp_path / "cache", CXX=named))
    assert (returncode, out) == (0, "scan")
    assert err.startswith("layers run on the slower backend 'scan': ")
    assert err.count("\n") == 0
    assert why[compiler] in err
    returncode, _, err = outcome(start(tmp_path / "cache", backend="native", CXX=named))
    assert returncode == 1
    assert why[compiler] in err.splitlines()[-1]


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    returncode, out, err = outcome(start(tmp_path / "cache"))
    assert (returncode, out) == (0, "scan")
    assert str(tmp_path / "cache") in err


@pytest.mark.slow
def test_a_damaged_library_is_named(tmp_path):
    code = "from eleatt_bench.nn.native.build import library_path; print(library_path())"
    environment = {**os.environ, "TORCH_EXTENSIONS_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    library = Path(found.stdout.strip())
    library.parent.mkdir(parents=True)
    library.write_bytes(b"no library")
    returncode, out, err = outcome(start(tmp_path))
    assert (returncode, out) == (0, "scan")
    assert f"{library}: " in err
    assert "delete it" in err


@pytest.mark.slow
def test_what_it_writes_under_a_loose_umask_is_its_own(tmp_path):
    """Where every file may be written by one's group, as on many systems."""
    build.library()
    copy = f'for last; do :; done\ncp "{build.library_path()}" "$last"'  # it takes less time
    compiler, cache = script(tmp_path / "compiler", copy), tmp_path / "cache"
    assert outcome(start(cache, umask=0o002, CXX=compiler)) == (0, "native", "")
    folder = cache / "eleatt_bench"
    for place in (folder, *folder.glob("*.so")):
        assert not place.stat().st_mode & 0o022


@pytest.fixture
def copied(monkeypatch, tmp_path) -> Path:
    """The library in a cache of its own, which is the one that is looked at."""
    build.library()
    content = build.library_path().read_bytes()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    path = build.library_path()
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o755)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("mode", [0o775, 0o757])
@pytest.mark.parametrize("place", ["folder", "library", "folder of the link"])
def test_what_others_may_write_is_not_loaded(copied, tmp_path, place, mode):
    loose = {"library": copied, "folder": copied.parent}.get(place, tmp_path / "real")
    if loose.name == "real":
        loose.mkdir()
        copied.rename(loose / copied.name)
        copied.symlink_to(loose / copied.name)
    assert not isinstance(build._library.__wrapped__(), BackendError)
    loose.chmod(mode)
    found = build._library.__wrapped__()
    assert isinstance(found, BackendError)
    assert f"{loose} may be written by other users (mode {mode:o})" in str(found)
    assert "delete it" in str(found)


def test_another_users_library_is_not_loaded(monkeypatch, copied):
    if os.getuid() == 0:
        os.chown(copied, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: copied.stat().st_uid + 1)
    found = build._library.__wrapped__()
    assert isinstance(found, BackendError)
    assert "belongs to another user" in str(found)


def test_the_compiler_may_be_several_words(monkeypatch, tmp_path):
    cache = script(tmp_path / "cache of mine", 'exec "$@"')
    monkeypatch.setenv("CXX", f"'{cache}' c++ -g")
    assert build.compiler() == [cache, "c++", "-g"]
    for wrong, why in (
        ("'c++", "CXX='c\\+\\+ is no command"),
        ("absent c++", "compiler .absent.:"),
    ):
        monkeypatch.setenv("CXX", wrong)
        with pytest.raises(BackendError, match=why):
            build.compiler()


def test_without_a_home_there_is_a_reason_and_no_library(monkeypatch):
    def nowhere(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    monkeypatch.setattr(build.Path, "home", classmethod(nowhere))
    found = build._library.__wrapped__()
    assert isinstance(found, BackendError)
    assert "no home folder" in str(found)
    assert "set TORCH_EXTENSIONS_DIR" in str(found)
