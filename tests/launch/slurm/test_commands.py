"""What SLURM's commands say, read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eleatt_bench.launch.slurm.commands import QueueEntry, SlurmError, has_gpus, queue, submit


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a command that prints a text, or fails with it, in the place of one of SLURM's."""

    def make(name: str, text: str, status: int = 0) -> None:
        (tmp_path / "said.txt").write_text(text)
        script = tmp_path / name
        script.write_text(
            f"#!/bin/sh\ncat {tmp_path}/said.txt >&{1 + (status > 0)}\nexit {status}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


@pytest.mark.parametrize(
    ("ran", "seconds"),
    [("0:00", 0), ("5:06", 306), ("1:02:03", 3723), ("2-00:00:01", 172801), ("INVALID", 0)],
)
def test_for_how_long_a_task_runs(say: Callable[..., None], ran: str, seconds: float) -> None:
    say("squeue", f"7|3|sweep|RUNNING|None|n2|{ran}\n8|N/A|other|RUNNING|None|n1|0:01\n")
    assert queue(["sweep"]) == [QueueEntry("7", 3, "sweep", "RUNNING", "None", "n2", seconds)]


def test_all_partitions_are_asked_for_also_hidden_ones(
    say: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, line in (("squeue", "7|3|sweep|RUNNING|None|n2|0:01"), ("sinfo", "hidden|gpu:2")):
        say(name, "")
        both = '*--all*--partition*) echo "Conflicting options" >&2; exit 1 ;;'  # so says sinfo
        shown = f'*" --all "* | *" --partition=hidden "*) echo "{line}" ;;'
        (tmp_path / name).write_text(f'#!/bin/sh\ncase " $* " in {both} {shown} esac\n')
    monkeypatch.setenv("SQUEUE_ALL", "0")  # as are all its variables, it is dropped
    assert [(one.array, one.index) for one in queue(["sweep"])] == [("7", 3)]
    assert has_gpus("hidden")
    assert has_gpus(None)


def test_the_name_of_a_cluster_is_no_answer(say: Callable[..., None]) -> None:
    say("squeue", "CLUSTER: empty\n\nCLUSTER: other\n7|3|sweep|RUNNING|None|n2|0:01\n")
    assert [(one.array, one.index) for one in queue(["sweep"])] == [("7", 3)]


def test_jobs_go_where_they_are_looked_for(
    say: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("sbatch", "")
    (tmp_path / "sbatch").write_text('#!/bin/sh\necho "$SBATCH_CLUSTERS$SLURM_CLUSTERS"\n')
    monkeypatch.setenv("SBATCH_CLUSTERS", "one")
    monkeypatch.setenv("SLURM_CLUSTERS", "another")
    assert submit(keep_open=1) == "another"


def test_what_a_refused_option_needs_is_said(say: Callable[..., None]) -> None:
    say("sbatch", "sbatch: error: Batch job submission failed: Invalid feature specification\n", 1)
    with pytest.raises(SlurmError, match=r"Invalid feature specification\. What nodes have, .*%f"):
        submit("--constraint=a100", keep_open=1)
    limit = "QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
    say(
        "sbatch",
        f"sbatch: error: {limit}accounting/QOS policy (job submit limit, user's size)\n",
        1,
    )
    with pytest.raises(SlurmError, match="So many jobs may not be queued at once"):
        submit(keep_open=1)
