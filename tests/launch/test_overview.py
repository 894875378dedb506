"""What a person sees of a sweep."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from eleatt_bench.common.text import duration
from eleatt_bench.launch.overview import Overview, failures_message, last_lines, share_done
from eleatt_bench.launch.process import Job


def job(folder: Path, name: str = "one", log: str = "") -> Job:
    path = folder / f"{name}.log"
    path.write_text(log, encoding="utf-8")
    return Job(("train", "model=gru", f"seed={name}"), f"seed={name}", path)


def rendered(overview: Overview, width: int) -> list[str]:
    plain = Console(width=width, file=io.StringIO())
    plain.print(overview._render())
    return plain.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 200])
def test_a_live_view_fits_the_terminal(tmp_path: Path, width: int) -> None:
    console = Console(width=width, height=12, force_terminal=True, file=io.StringIO())
    running = [
        job(tmp_path, f"{n}" * 50, "epoch  3/15  val 88.00%  train 90 %\n") for n in range(9)
    ]
    with Overview(20, 9, console) as overview:
        for one in running:
            overview.started(one)
        lines = rendered(overview, width)
        for one in running:
            overview.ended(one, 0)
    assert max(len(line) for line in lines) <= width
    assert "0 of 20 done, 9 running" in lines[1]
    assert lines[2].split()[:2] == ["running", "time"]
    assert len(lines) == 3 + 6 + 1, "one line per running job, cut rather than wrapped"
    assert lines[-1] == "and 3 more that run"
    assert all("epoch  3/15" in line for line in lines[3:-1]) or width == 40


def test_jobs_that_failed_or_were_left_out_are_counted(tmp_path: Path) -> None:
    first = job(tmp_path, "1")
    overview = Overview(3, 1, Console(file=io.StringIO(), width=100))
    overview.started(first)
    overview.ended(first, 1)
    overview.left_out(Job(("train",), "2", tmp_path / "2.log", needs=first))
    assert overview._counts(0.0).startswith("0 of 3 done, 0 running, 1 failed, 1 left out, 1 wait")


@pytest.mark.parametrize(
    ("line", "share"),
    [("epoch  3/15  val 88 %", 0.2), ("epoch 15/15", 1.0), ("epoch 1/0", None), ("Ready", None),
     ("the digits 3/4", None), ("", None)],
)  # fmt: skip
def test_a_last_line_tells_how_much_is_done(line: str, share: float | None) -> None:
    assert share_done(line) == share


def test_the_time_left_follows_from_what_has_ended_and_what_runs_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    second.log_path.write_text("epoch 1/4  val 50 %  loss 1.2  50.0 s  2 min left\n")
    # it will take 200 s, 150 more; on average a job takes 150 s
    assert overview._left(now) == f"about {duration((8 * 150 + 150) / 2)} left"


def test_what_ran_before_it_was_seen_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of jobs on a cluster that somebody attaches to, one of which had begun once more."""
    monkeypatch.setattr("eleatt_bench.launch.overview.time.monotonic", lambda: 7.0)
    one, again, quick = job(tmp_path, "1"), job(tmp_path, "2"), job(tmp_path, "3")
    overview = Overview(3, 3, Console(file=io.StringIO()))
    work = 12 * 90 + 60 + (15 * 90 + 15 * 60) / 2  # of those that run, and of the one that waits
    overview.started(one, 300.0)
    overview.started(again, 5.0)
    one.log_path.write_text("epoch  3/15  val 50 %  loss 1.2  90.0 s  18 min left\n")
    again.log_path.write_text("epoch 14/15  val 50 %  loss 1.2  60.0 s  60 s left\n")
    assert overview._left(7.0) == f"about {duration(work / 3)} left"
    overview.queued(quick, "Priority")  # the cluster has room for two
    assert overview._left(7.0) == f"about {duration(work / 2)} left"
    assert overview.ended(one, 0) == 300.0


def test_what_somebody_cancelled_has_not_failed(tmp_path: Path) -> None:
    first, second = job(tmp_path, "1", "epoch 1/2\n"), job(tmp_path, "2", "Error: no luck\n")
    third = Job(("train",), "third", tmp_path / "3.log", needs=first)
    console = Console(file=io.StringIO(), width=100)
    with Overview(3, 1, console) as overview:
        for one, status in ((first, -15), (second, 1)):
            overview.started(one)
            overview.ended(one, status)
        overview.left_out(third)
        assert "1 failed, 1 cancelled, 1 left out" in overview._counts(0.0)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "cancelled  seed=1" in said
    assert "0 done, 1 failed, 1 cancelled, 1 left out in" in said
    message = failures_message([(first, -15), (second, 1), (third, None)], 3)
    assert message.startswith("1 of 3 jobs failed\n\nseed=2: exit status 1")
    assert message.endswith("2 of 3 jobs were cancelled: the same command goes on with them")
    assert "log: 1" not in message
    alone = failures_message([(first, -15)], 3)
    assert alone == "1 of 3 jobs were cancelled: the same command goes on with them"


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
