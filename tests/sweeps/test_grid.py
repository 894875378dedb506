"""Many jobs from one command line: what they are, how they are laid out, what is said of them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.composer import Composer
from eleatt_bench.config.setup import hydra_ready
from eleatt_bench.launch import process
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.sweeps import grid
from eleatt_bench.sweeps.grid import Planned, plan_jobs, sweep

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_a_job_that_does_not_compose_is_named_by_its_number() -> None:
    jobs = [["model=gru", "data.sequence=frames"], ["model=gru", "model.hidden_size=0"]]
    with pytest.raises(UserError, match=r"Job 2 of 2, model.hidden_size=0: model.hidden_size is 0"):
        plan_jobs("train", jobs)


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ([["trainer.num_threads=1"], ["trainer.num_threads=2"]], "trainer.num_threads is no part"),
        (
            [
                ["++trainer.num_threads=1", "model.gate=null"],
                ["++trainer.num_threads=2", "model=gru"],
            ],
            "trainer.num_threads is no part",
        ),
        ([["trainer=cpu"], ["trainer=gpu"]], "trainer is no part of a run's name here: 2 jobs"),
        ([["model.backend=scan", "seed=1"], ["seed=1"]], "model.backend is no part"),
        ([["seed=1"], ["seed=2"], ["seed=1"]], "seed=1 is asked for twice"),
        ([["model=gru"], ["model=eleatt_gru", "model.gated_layers=[]"]], "would all be digits-gru"),
    ],
)
@pytest.mark.few(2)
def test_jobs_that_are_one_run_are_refused(jobs, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        plan_jobs("train", jobs)


PRINTS = """
import os, sys
print("LINE", *sys.argv[1:], os.environ.get("ELEATT_PLANNED_RUN"))
sys.exit("seed=13" in sys.argv)
"""


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Launch jobs that only say what they were given, as evaluations are; what they say."""
    monkeypatch.setattr(
        process, "command", lambda arguments: [sys.executable, "-c", PRINTS, *arguments]
    )

    def go(*jobs: list[str], verb: str = "eval") -> list[str]:
        config = Composer().config(["launcher.warm=false"])
        planned = [Planned(job, config, RunFolder(Path("runs"), "x"), None) for job in jobs]
        try:
            grid.launch(grid.Sweep(verb, config, "x", tmp_path / "logs", (verb, "-m")), planned, 5)
        finally:
            logs = sorted((tmp_path / "logs").glob("*.log"))
        return [log.read_text().strip() for log in logs]

    return go


def test_every_job_is_a_command_line_with_a_log_of_its_own(launched) -> None:
    said = launched(["run=a", "checkpoint=best"], ["run=b", "checkpoint=best"])
    assert said == [f"LINE eval run={name} checkpoint=best None" for name in "ab"]


def test_the_users_config_folders_are_passed_on(launched, monkeypatch, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("ELEATT_CONFIGS", os.pathsep.join(map(str, folders)))
    one, two = folders
    assert launched(["run=a"]) == [f"LINE eval --config-dir {one} --config-dir {two} run=a None"]


def test_failed_jobs_are_reported_after_all_have_run(launched, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        launched(["run=a", "seed=13"], ["run=a", "seed=2"])
    message = str(caught.value)
    assert message.startswith("1 of 2 jobs failed")
    assert "seed=13: exit status 1" in message
    assert "again: eleatt-bench eval run=a seed=13" in message
    assert (tmp_path / "logs" / "6.log").read_text() == "LINE eval run=a seed=2 None\n"


def test_a_job_is_told_which_run_it_was_planned_as(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        process, "command", lambda arguments: [sys.executable, "-c", PRINTS, *arguments]
    )
    (planned,) = plan_jobs("train", [["experiment=digits"]])
    with pytest.raises(UserError, match=r"1 of 1 runs that this sweep planned are not finished"):
        sweep_of(["experiment=digits"], tmp_path)
    said = (tmp_path / "logs" / "0.log").read_text()
    assert said == f"LINE train experiment=digits {planned.folder.run_id}\n"


def sweep_of(overrides: list[str], tmp_path: Path) -> None:
    """What Hydra's launcher does for one job, whatever that job comes to."""
    with hydra_ready():
        cfg = compose("train", [*overrides, "launcher.warm=false"], return_hydra_config=True)
    cfg.hydra.sweep.dir = str(tmp_path / "logs")
    sweep(cfg, [overrides], 0)


def of_a_run(name: str, runs: Path, *said: str) -> Planned:
    config = Composer().config(list(said))
    return Planned([f"run={name}"], {**config, "checkpoint": "last"}, RunFolder(runs, name), None)


def test_what_was_found_before_is_not_shown_as_found_now(tmp_path: Path, capsys) -> None:
    planned = [of_a_run(name, tmp_path) for name in ("a", "b")]
    old, new = (json.dumps({"metrics": {"test": {"accuracy": value}}}) for value in (0.25, 0.5))
    for one in planned:
        one.folder.path.mkdir()
        one.folder.evaluation("last").write_text(old)
    planned[1] = planned[1]._replace(overrides=["++run=b"])  # the same key, typed otherwise
    before = [grid._evaluation(one) for one in planned]
    planned[1].folder.evaluation("last").write_text(new + "\n")
    grid.print_results(planned, before)
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.split() == ["–", "not", "tested", "a"]
    assert second.split() == ["50.00%", "last", "checkpoint", "b"]


def test_a_sweep_is_laid_out_as_its_jobs_ask(tmp_path: Path, monkeypatch) -> None:
    laid_out = []

    def engine_for(config: dict[str, Any], *_: Any, **__: Any) -> None:
        laid_out.append(config["trainer"])
        raise UserError("laid out")

    monkeypatch.setattr(grid, "engine_for", engine_for)
    this = grid.Sweep("eval", Composer().config([]), "x", tmp_path / "logs", ("eval", "-m"))
    on_gpus = [of_a_run(name, tmp_path, "trainer=gpu") for name in ("a", "b")]
    with pytest.raises(UserError, match="laid out"):
        grid.launch(this, on_gpus, 0)
    assert laid_out[0]["accelerator"] == "gpu"
    with pytest.raises(UserError, match=r"a has trainer\.accelerator=gpu and c trainer\.acc.*=cpu"):
        grid.launch(this, [*on_gpus, of_a_run("c", tmp_path)], 0)
