"""Watching and leaving a sweep that Ray runs itself: Ray is not needed for what is done here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.config.composer import Composer
from eleatt_bench.launch.endings import CANCELLED_STATUS, ended_file
from eleatt_bench.launch.engines import engine_for
from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray import driver, submission
from eleatt_bench.launch.ray.submission import Submitted

RAY: Any = None  # which is not asked


@pytest.mark.parametrize(
    ("words", "again"), [((), "again, and ends"), (("force=true",), "again, begins anew what is")]
)
def test_it_says_what_the_same_command_would_do(
    tmp_path: Path, words: tuple[str, ...], again: str
) -> None:
    said: list[str] = []
    with Submitted(RAY, tmp_path / "sweep", said.append) as engine:
        engine.start(Job(("train", *words), "", tmp_path / "job.log"))
    assert "1 jobs stay in Ray's queue" in said[-1]
    assert f"the same command attaches to them {again}" in said[-1]
    assert said[-1].endswith("and ends them with --cancel")


class Told:
    """Ray, which says ``statuses`` of the sweep, one each time it is asked."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)

    def status(self, name: str) -> str:
        return self.statuses.pop(0)


@pytest.mark.parametrize("wanted", [{"a"}, {"a", "b"}, {"b", "c"}])
@pytest.mark.few(1)
def test_it_is_watched_if_it_has_all_jobs_and_waited_for_if_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wanted
) -> None:
    (logs := tmp_path / "sweep").mkdir()
    (logs / "submitted.txt").write_text("a\nb\n")
    ray, own = Told("alive", "alive", "SUCCEEDED"), object()
    monkeypatch.setattr(submission, "_Sweeps", lambda address: ray)
    monkeypatch.setattr(submission, "_POLL", 0.0)
    monkeypatch.setattr(driver.Ray, "of", lambda *_, **__: own)
    config = Composer().config(["experiment=digits", "launcher=ray"])
    engine = engine_for(config, len(wanted), folder=tmp_path, name="sweep", keys=wanted)
    said = capsys.readouterr().out
    if "c" in wanted:
        assert engine is own
        assert not ray.statuses, "the other sweep has ended"
        assert "without 1 of these 2 jobs (ray job logs sweep): they begin when it has" in said
    else:
        assert isinstance(engine, Submitted)
        assert "Ray has 2 of the jobs already" in said


@pytest.mark.parametrize("status", ["FAILED", "STOPPED", "unknown"])
def test_who_was_left_behind_has_not_failed(tmp_path: Path, status: str) -> None:
    (logs := tmp_path / "sweep").mkdir()
    said: list[str] = []
    engine = Submitted(Told(status), logs, said.append)  # type: ignore[arg-type]
    failed, left, done = (
        Job(("train", name), name, logs / f"{name}.log", done=lambda name=name: name == "done")
        for name in ("failed", "left", "done")
    )
    for job in (failed, left, done):
        engine.start(job)
    ended_file(failed.log_path).write_text("3\n")
    assert dict(engine.ended()) == {failed: 3, left: CANCELLED_STATUS, done: 0}
    assert said[-1] == f"The sweep that was submitted is {status} (ray job logs sweep)"
