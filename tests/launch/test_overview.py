"""What a person sees of a sweep."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

from rich.console import Console

from eleatt_bench.durations import duration
from eleatt_bench.launch.overview import Overview, failures_message, last_lines
from eleatt_bench.launch.process import Job


def job(folder: Path, name: str = "one", log: str = "") -> Job:
    path = folder / f"{name}.log"
    path.write_text(log, encoding="utf-8")
    return Job(("train", "model=gru", f"seed={name}"), f"seed={name}", path)


def test_a_live_view_fits_sixty_columns(tmp_path: Path) -> None:
    console = Console(width=60, force_terminal=True, file=io.StringIO())
    running = job(tmp_path, "x" * 50, "epoch  3/15  loss 0.123  train 90 %  val 88 %  1.0 s\n")
    with Overview(5, 2, console) as overview:
        overview.started(running)
        plain = Console(width=60, file=io.StringIO())
        plain.print(overview._render())
        lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
        overview.ended(running, 0)
    assert lines[0].startswith("0 done, 1 running, 4 waiting")
    assert len(lines) == 2, "one line per running job, cut rather than wrapped"
    assert max(len(line) for line in lines) <= 60


def test_the_time_left_follows_from_the_jobs_that_have_ended(tmp_path: Path, monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr("eleatt_bench.launch.overview.time.monotonic", lambda: now)
    first, second = job(tmp_path, "1"), job(tmp_path, "2")
    overview = Overview(10, 2, Console(file=io.StringIO()))
    overview.started(first)
    assert overview._left(now) == ""
    now = 100.0
    overview.ended(first, 0)
    overview.started(second)
    now = 150.0
    # eight that wait take 100 s each, the running one 50 s more, two at a time
    assert overview._left(now) == f"about {duration((8 * 100 + 50) / 2)} left"


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text("".join(f"line {i} é\n\n" for i in range(5000)), encoding="utf-8")
    assert last_lines(path, 2) == ["line 4998 é", "line 4999 é"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_failures_say_what_why_where_and_what_to_type(tmp_path: Path) -> None:
    log = "".join(f"line {i}\n" for i in range(30)) + "Error: out of luck\n"
    failed = job(tmp_path, "7", log)
    message = failures_message([(failed, 1), (job(tmp_path, "8"), -9)], 5)
    assert message.startswith("2 of 5 jobs failed")
    assert "seed=7: exit status 1" in message
    assert "seed=8: killed by signal 9" in message
    assert "    Error: out of luck" in message
    assert "line 20" not in message
    assert f"log: {failed.log_path}" in message
    again = next(line for line in message.splitlines() if line.startswith("  again: "))
    assert shlex.split(again.removeprefix("  again: ")) == ["eleatt-bench", *failed.arguments]
