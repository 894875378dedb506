"""Settings of a launcher go with that launcher."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eleatt_bench.cli import main
from eleatt_bench.cli.train import compose_checked
from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.settings import without_launcher
from eleatt_bench.launch.slurm import script
from eleatt_bench.launch.slurm.script import index_list, request

SLURM, RAY = "launcher=slurm", "launcher=ray"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["launcher.partition=main"], "launcher.partition is a setting of launcher=slurm, and"),
        (["launcher.setup=[true]"], "launcher.setup is a setting of launcher=slurm"),
        ([SLURM, "launcher.jobs=2"], "launcher.parallel says how many run at once"),
        ([SLURM, "launcher.warm=false"], "launcher.warm is a setting of launcher=local"),
        ([SLURM, "launcher.time=soon"], "write it as SLURM does"),
        ([SLURM, "launcher.time=2"], "would be told to stop before they begin"),
        ([SLURM, "launcher.time=1:30"], "would be told to stop before they begin"),
        ([SLURM, "launcher.cpus=null"], "launcher.cpus is null"),
        ([SLURM, "launcher.gpus=-1"], "it must be at least 0"),
        ([SLURM, "launcher.gpus=0.5"], "SLURM lends whole ones"),
        (
            [SLURM, "launcher.memory=1G"],
            "launcher=ray, and launcher=slurm was chosen: launcher.mem",
        ),
        (["launcher.name=lsf"], "launcher.name is lsf"),
        (["launcher.gpus=1"], "launcher.gpus is a setting of launcher=slurm or ray, and"),
        (["launcher.retries=1"], "launcher.retries is a setting of launcher=ray, and"),
        ([RAY, "launcher.partition=main"], "launcher.partition is a setting of launcher=slurm"),
        ([RAY, "launcher.jobs=2"], "as many run at once as launcher.cpus"),
        ([RAY, "launcher.mem=2G"], "launcher.memory is what a job has"),
        ([RAY, "launcher.resubmit=2"], "launcher.retries says how often"),
        ([RAY, "launcher.memory=much"], "launcher.memory is much; write it as 16G"),
        ([RAY, "launcher.memory=0"], "launcher.memory is 0"),
        ([RAY, "launcher.address=here"], "launcher.address is here; write auto, HOST:PORT"),
        ([RAY, "launcher.address=http://a:80"], "launcher.address is http://a:80"),
        ([RAY, "launcher.gpus=1.5"], "parts of one GPU, or whole ones"),
        ([RAY, "launcher.gpus=-0.5"], "it must be at least 0"),
        ([RAY, "launcher.retries=null"], "launcher.retries is null"),
        ([RAY, "+launcher.env.CUDA_VISIBLE_DEVICES=1"], "is set by the sweep itself"),
    ],
)
@pytest.mark.few(3)
def test_what_makes_no_sense_is_refused(said: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_checked(said, "train")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "said",
    ["launcher.address=null", "launcher.address=10.0.0.1:6379", "launcher.address='[::1]:6379'",
     "launcher.address=ray://head:10001", "launcher.gpus=0.5", "launcher.gpus=2",
     "launcher.memory=500M", "launcher.retries=0", "+launcher.env.PYTHONPATH=/src"],
)  # fmt: skip
@pytest.mark.few(3)
def test_what_makes_sense_to_ray_is_taken(said: str) -> None:
    assert compose_checked([RAY, said], "train")["launcher"]["cpus"] == 2


@pytest.mark.parametrize(
    "time", ["3", "3:00", "0:03:00", "0-1", "1-00:00:00", "1439", "null", "UNLIMITED"]
)
@pytest.mark.few(1)
def test_times_are_slurms(time: str) -> None:
    assert compose_checked([SLURM, f"launcher.time={time}"], "train")["launcher"]["notice"] == 120


@pytest.mark.parametrize("said", ["time: 12:00:00", "options: {time-min: 24:00:00}"])
@pytest.mark.few(1)
def test_a_time_without_quotes_is_no_number_of_minutes(
    said: str, tmp_path: Path, monkeypatch
) -> None:
    folder = tmp_path / "launcher"
    folder.mkdir()
    (folder / "ours.yaml").write_text(f"defaults: [slurm]\n{said}\n", encoding="utf-8")
    monkeypatch.setenv("ELEATT_CONFIGS", str(tmp_path))
    with pytest.raises(UserError, match="Write it in quotes"):
        compose_checked(["launcher=ours"], "train")
    quoted = said.replace("2:00:00", '2:00:00"').replace("12:", '"12:').replace("24:00:00", '"1-0"')
    (folder / "ours.yaml").write_text(f"defaults: [slurm]\n{quoted}\n", encoding="utf-8")
    compose_checked(["launcher=ours"], "train")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "-m", "--detach"], "--detach is for jobs on a cluster"),
        (["train", "--cancel"], "--cancel is for jobs on a cluster"),
        (["train", "--cancel", "--detach"], "give one of the two"),
        (["reproduce", "digits", "--until-decided", "--detach"], "leave out --detach"),
        (["search", "digits", "seed=1", "--trials", "2", SLURM, "--detach"], "leave out --detach"),
        (
            ["train", RAY],
            "launcher=ray needs ray, which is not installed: pip install 'eleatt-bench[ray]'",
        ),
        (["train", "-m", RAY, "--detach"], "launcher=ray needs ray"),
        (["doctor", RAY], "launcher=ray needs ray"),
        (["train", RAY, "launcher.address=null", "--detach"], "for a Ray that outlives this"),
        (["train", SLURM], "is not on this machine. Type this on a login node"),
        (["train", "-m", SLURM, "+launcher.options.array=1"], "is set by the sweep itself"),
    ],
)
@pytest.mark.few(1)
def test_who_has_no_cluster_is_told(words, told: str, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    assert main(words) == 1
    assert told in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/record.json"))


def options(*said: str) -> dict[str, str]:
    words = request(compose_checked([SLURM, *said], "train")).options
    return dict(word.removeprefix("--").partition("=")[::2] for word in words)


def test_a_job_asks_for_what_its_trainer_needs(monkeypatch) -> None:
    monkeypatch.setattr(script, "has_gpus", lambda partition: partition == "gpus")
    found = options()
    assert (found["cpus-per-task"], found["mem"], found["time"]) == ("4", "16G", "4:00:00")
    assert found["signal"] == "B:USR1@120"
    assert "gres" not in found
    assert "partition" not in found
    assert options("trainer=gpu")["gres"] == "gpu:1"
    of_two = options("trainer=ddp", "launcher.partition=gpus")
    assert (of_two["gres"], of_two["cpus-per-task"], of_two["ntasks"]) == ("gpu:2", "8", "1")
    assert "gres" not in options("trainer=ddp", "launcher.partition=cpus")
    assert "gres" not in options("trainer=gpu", "launcher.gpus=0")
    other = options("+launcher.options.gres=gpu:a100:1", "+launcher.options.exclusive=true",
                    "+launcher.options.requeue=false", "launcher.mem=null")  # fmt: skip
    assert other["gres"] == "gpu:a100:1"
    assert other["exclusive"] == ""
    assert not {"requeue", "mem"} & other.keys()


@pytest.mark.slow
def test_the_partition_that_sbatch_takes_is_asked_for_gpus(monkeypatch) -> None:
    said = "+launcher.options.partition"
    monkeypatch.setattr(script, "has_gpus", lambda partition: partition == "gpus")
    assert options("trainer=ddp", f"{said}=gpus")["gres"] == "gpu:2"
    assert "gres" not in options("trainer=ddp", "launcher.partition=gpus", f"{said}=cpus")
    monkeypatch.setenv("SBATCH_PARTITION", "gpus")
    assert options("trainer=ddp")["gres"] == "gpu:2"
    assert "gres" not in options("trainer=ddp", "launcher.partition=cpus")
    assert "gres" not in options("trainer=ddp", f"{said}=cpus")


def test_words_about_the_launcher_are_not_for_the_job() -> None:
    words = ["train", "launcher=slurm", "+launcher.options.x=1", "seed=1", "++launcher.cpus=2"]
    assert without_launcher(words) == ["train", "seed=1"]


def test_indices_are_written_as_ranges() -> None:
    assert index_list([0]) == "0"
    assert index_list([7, 0, 1, 2, 5, 4]) == "0-2,4-5,7"
