"""Where a run is computed: the commit, from real repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eleatt_bench.training import environment
from eleatt_bench.training.environment import git_commit


@pytest.fixture(autouse=True)
def not_asked_yet() -> Iterator[None]:
    git_commit.cache_clear()
    yield
    git_commit.cache_clear()


def asked_anew() -> str | None:
    """What another process would be told."""
    git_commit.cache_clear()
    return git_commit()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a committed file in each folder that decides numbers."""
    for name in ("src/eleatt_bench/a.py", "configs/a.yaml", "docs/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one")
    monkeypatch.setattr(environment, "PACKAGE", tmp_path / "src" / "eleatt_bench")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_what_is_not_committed_is_marked(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert asked_anew() == commit
    (checkout / "docs" / "a.md").write_text("2\n")
    (checkout / "src" / "eleatt_bench" / "a.pyc").write_text("")
    assert asked_anew() == commit, "neither decides a number"
    (checkout / "configs" / "mine.yaml").write_text("1\n")  # which git does not know yet
    assert asked_anew() == f"{commit}+changes"
    (checkout / "configs" / "mine.yaml").unlink()
    (checkout / "src" / "eleatt_bench" / "a.py").write_text("2\n")
    assert asked_anew() == f"{commit}+changes"


def test_without_an_answer_it_is_not_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    monkeypatch.setattr(environment, "_PATIENCE", 0.1)
    assert asked_anew() is None
    slow.write_text("#!/bin/sh\nexit 1\n")
    assert asked_anew() is None
    slow.write_text('#!/bin/sh\n[ "$3" = status ] && exec sleep 60\nexec /usr/bin/git "$@"\n')
    monkeypatch.setattr(environment, "_PATIENCE", 1)
    assert asked_anew() == git(checkout, "rev-parse", "HEAD") + "+unknown"


def test_a_process_has_one_commit_whatever_is_committed_meanwhile(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_commit() == commit
    (checkout / "configs" / "a.yaml").write_text("2\n")
    assert git_commit() == commit
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "two")
    assert git_commit() == commit != git(checkout, "rev-parse", "HEAD")


def test_an_installed_package_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGE", tmp_path / "site-packages" / "eleatt_bench")
    assert asked_anew() is None
