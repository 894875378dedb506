"""``eleatt-bench runs import`` and ``runs export``, from the outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eleatt_bench.cli import main
from eleatt_bench.runs.record import RunFolder, all_runs
from eleatt_bench.runs.soundness import sound


@pytest.fixture
def there(finished_run, tmp_path: Path) -> list[RunFolder]:
    """Runs of another machine."""
    return [finished_run(tmp_path / "there", seed) for seed in (0, 1, 2)]


@pytest.fixture
def call(tmp_path: Path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """The verb ``runs`` in a folder of runs of this machine: its status, output and error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path, runs: str = "here") -> tuple[int, str, str]:
        monkeypatch.setenv("ELEATT_RUNS", str(tmp_path / runs))
        status = main(["runs", *map(str, words)])
        out, error = capsys.readouterr()
        return status, out, error

    return run


def listed(folder: Path) -> list[str]:
    """Whatever is in a folder of runs, hidden or not."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_two_machines_share_their_runs(call, there, tmp_path: Path) -> None:
    status, out, _ = call("export", "status=finished", "--published", runs="there")
    assert (status, out.split("  ")[0]) == (0, "runs.zip")
    status, out, _ = call("import", "runs.zip")
    assert status == 0
    assert "3 taken over, 0 here already" in out
    names = [folder.run_id for folder in there]
    assert listed(tmp_path / "here") == names
    assert all(sound(folder) for folder in all_runs(tmp_path / "here"))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "here").rglob("*")}
    assert call("import", "runs.zip")[:2] == (
        0, f"0 taken over, 3 here already. They lie in {tmp_path / 'here'}.\n"
    )  # fmt: skip
    for source, among in (("there", 3), (there[0].path, 1)):
        status, out, error = call("import", source)
        assert status == 1
        assert out.count("is here already, without weights or exact predictions") == among
        assert f"{among} of {among} were not taken over" in error
        assert "runs rm ID, then import again" in error
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "here").rglob("*")} == before
    status, out, _ = call("list", "--sort", "seed")
    assert out.count("finished") == 3


def test_what_a_run_without_weights_lacks_is_said(call, there, capsys) -> None:
    call("export", there[0].run_id, "--published", "--out", "run.zip", runs="there")
    call("import", "run.zip")
    status, _, error = call("export", there[0].run_id)
    assert status == 1
    assert "best.ckpt: train it again with force=true, or export it without weights" in error


def test_one_that_is_finished_here_stays_and_the_others_come(
    call, there, finished_run, tmp_path: Path
) -> None:
    mine = finished_run(tmp_path / "here", 1, right=(1, 0, 0, 0))
    before = mine.record.read_bytes()
    unfinished = there[2]
    unfinished.write({**(unfinished.read() or {}), "status": "failed"})
    status, out, error = call("import", "there")
    assert status == 1
    assert "1 taken over, 0 here already, 1 not finished and left out" in out
    assert f"1 of 2 were not taken over ({mine.run_id}): what is here stays" in error
    assert mine.record.read_bytes() == before
    assert listed(tmp_path / "here") == [there[0].run_id, there[1].run_id]


def archive(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o644) << 16
            file.writestr(info, content)
    return path


def members(runs: list[RunFolder]) -> dict[str, bytes]:
    return {
        f"{run.run_id}/{path.name}": path.read_bytes()
        for run in runs
        for path in sorted(run.path.iterdir())
    }


def test_an_archive_that_is_not_in_order_changes_nothing(call, there, tmp_path: Path) -> None:
    good = members(there)
    first = there[0].run_id
    record, predictions = f"{first}/record.json", f"{first}/predictions.h5"
    renamed = {name.replace(first, "digits-gru-seed0-000000000000"): good[name] for name in good}
    cases: dict[str, tuple[dict[str, bytes], str]] = {
        "half": ({n: c for n, c in good.items() if n != predictions}, "predictions.h5 is missing"),
        "no record": ({n: c for n, c in good.items() if n != record}, "record.json is missing"),
        "cut": ({**good, predictions: good[predictions][:-1]}, "not what the record says"),
        "foreign": ({"a/b.txt": b"hello"}, "has no file called like"),
        "another": (renamed, "it is the record of"),
        "above": ({**good, "../evil/record.json": good[record]}, "would leave its folder"),
        "absolute": ({**good, "/evil/record.json": good[record]}, "would leave its folder"),
        "no name": ({**good, "-rf/record.json": good[record]}, "is no name of a run"),
    }
    for name, (content, said) in cases.items():
        status, _, error = call("import", archive(tmp_path / "x.zip", content))
        assert (name, status) == (name, 1)
        assert said in error
        assert listed(tmp_path / "here") == [], name
    path = archive(tmp_path / "x.zip", {**good, record: b"/etc/passwd"}, {record: 0o120777})
    assert "is a link, not a file" in call("import", path)[2]
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(predictions, b"others")
    assert "twice" in call("import", path)[2]
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{first}/epochs.csv", bytes(1 << 27))
    assert "unpacks to more than 100 times its size" in call("import", "bomb.zip")[2]
    assert listed(tmp_path / "here") == []
    assert listed(tmp_path) == ["bomb.zip", "here", "there", "x.zip"]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_changed_in_an_archive(call, there, tmp_path: Path, data) -> None:
    """Bytes are changed anywhere, or the end is lost: the runs are as they were, or not there."""
    shutil.rmtree(tmp_path / "here", ignore_errors=True)
    path = tmp_path / "good.zip"
    if not path.exists():
        archive(path, members(there))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    (tmp_path / "bad.zip").write_bytes(content[:cut])
    status, _, error = call("import", "bad.zip")
    found = {run.run_id: run for run in all_runs(tmp_path / "here")}
    assert listed(tmp_path / "here") == [*found]
    assert status in (0, 1), error
    if status:
        assert "This is a bug" not in error
    for name, run in found.items():
        original = RunFolder(tmp_path / "there", name)
        for file in ("record.json", "predictions.h5", "config.yaml"):
            assert (run.path / file).read_bytes() == (original.path / file).read_bytes()


@pytest.mark.slow
def test_killed_at_any_moment(call, there, finished_run, tmp_path, user_environment) -> None:
    """Every run is whole or not there, and the same command ends well afterwards."""
    for seed in range(3, 30):
        there.append(finished_run(tmp_path / "there", seed))
    started = time.monotonic()
    command = [sys.executable, "-m", "eleatt_bench", "runs", "import", "there"]
    environment = {**user_environment, "ELEATT_RUNS": str(tmp_path / "here")}
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    whole = time.monotonic() - started
    killed = 0
    for part in range(20):
        here = tmp_path / f"here{part}"
        process = subprocess.Popen(
            command, env={**environment, "ELEATT_RUNS": str(here)}, cwd=tmp_path
        )
        time.sleep(whole * (part + 1) / 20)
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert all(sound(run) for run in all_runs(here))
        assert {name for name in listed(here) if not name.startswith(".")} == {
            run.run_id for run in all_runs(here)
        }
        status, _, error = call("import", "there", runs=here.name)
        assert (status, error) == (0, "")
        assert call("gc", runs=here.name)[0] == 0
        assert listed(here) == sorted(run.run_id for run in there)
    assert killed > 10
