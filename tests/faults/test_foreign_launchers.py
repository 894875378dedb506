"""What SLURM, torchrun, MPI and others leave in the environment is not meant for our runs."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from eleatt_bench.launch.ranks import without_ranks

TORCHRUN = {
    "RANK": "1", "LOCAL_RANK": "1", "NODE_RANK": "1", "GROUP_RANK": "1", "ROLE_RANK": "1",
    "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2", "ROLE_WORLD_SIZE": "4",
    "ROLE_NAME": "default", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1",
    "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "0",
}  # fmt: skip
SLURM = {
    "SLURM_PROCID": "2", "SLURM_LOCALID": "2", "SLURM_NODEID": "1", "SLURM_NTASKS": "4",
    "SLURM_NPROCS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_NNODES": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_GTIDS": "2,3", "SLURM_TASK_PID": "1",
    "SLURM_SRUN_COMM_HOST": "192.0.2.1", "SLURM_LAUNCH_NODE_IPADDR": "192.0.2.1",
    "SLURM_JOB_NUM_NODES": "2",
}  # fmt: skip
OTHERS = {
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "PMI_RANK": "1", "PMI_SIZE": "4",
    "PMIX_RANK": "1", "MPI_LOCALRANKID": "1", "MV2_COMM_WORLD_RANK": "1", "PALS_RANKID": "1",
    "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "4", "JSM_NAMESPACE_LOCAL_RANK": "1",
    "FLUX_TASK_RANK": "1", "TPU_WORKER_ID": "1", "CLOUD_TPU_TASK_ID": "1",
    "PL_GLOBAL_SEED": "7", "PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_FAST_DEV_RUN": "1",
    "LT_DEVICES": "4",
}  # fmt: skip
JOB = {  # what says where a job runs is kept: its user, or a scheduler's own command, may ask
    "SLURM_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_NAME": "job",
    "SLURM_CPUS_PER_TASK": "2", "SLURM_SUBMIT_DIR": "/", "SLURM_CONF": "/etc/slurm.conf",
    "LSB_JOBID": "1", "KUBERNETES_PORT": "tcp://192.0.2.1:443", "CUDA_VISIBLE_DEVICES": "0",
}  # fmt: skip
FOREIGN = TORCHRUN | SLURM | OTHERS


def test_ranks_go_and_jobs_stay() -> None:
    usual = {
        "PATH": "/bin",
        "HOME": "/",
        "OMP_NUM_THREADS": "2",
        "ELEATT_RUNS": "r",
        "PLATFORM": "",
    }
    assert without_ranks(usual | FOREIGN | JOB | {"ELEATT_RANK_OF": "1"}) == usual | JOB


def test_a_run_is_the_same_whatever_others_left(work, undisturbed, assert_same) -> None:
    assert work.do(environment=FOREIGN | JOB) == 0, work.output
    assert_same(work, undisturbed)
    said, there = ([line.split("loss")[0] for line in w.output.splitlines() if "epoch" in line]
                   for w in (work, undisturbed))  # fmt: skip
    assert said == there
    assert {path.name for path in work.folder.iterdir()} == {"runs", "output.txt"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOREIGN)
def test_each_alone(work, undisturbed, assert_same, name: str) -> None:
    assert work.do(environment={name: FOREIGN[name]}) == 0, work.output
    assert_same(work, undisturbed)


@pytest.mark.slow
def test_a_checkpoint_that_lightning_would_requeue_from_is_left_alone(
    work, undisturbed, assert_same
) -> None:
    run = undisturbed.run
    content = (run.checkpoints / "previous.ckpt").read_bytes()
    places = [work.folder, work.folder / "runs", work.folder / "runs" / run.run_id]
    for place in places:
        place.mkdir(exist_ok=True)
        (place / "hpc_ckpt_1.ckpt").write_bytes(content)
    assert work.do(environment=SLURM | JOB) == 0, work.output
    assert_same(work, undisturbed)
    for place in places:
        assert [path.name for path in place.glob("*.ckpt")] == ["hpc_ckpt_1.ckpt"]
        assert (place / "hpc_ckpt_1.ckpt").read_bytes() == content


@pytest.mark.slow
def test_a_run_of_several_processes_starts_its_own(tmp_path, user_environment) -> None:
    command = [
        sys.executable, "-m", "eleatt_bench", "train", "experiment=digits", "model.hidden_size=8",
        "trainer.max_epochs=2", "trainer.num_threads=1", "data.limit=200",
        "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
    ]  # fmt: skip
    found = []
    for name, planted in {"plain": {}, "foreign": FOREIGN | JOB}.items():
        environment = without_ranks(user_environment) | planted | {"ELEATT_RUNS": name}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 2/2") == 1
        (path,) = tmp_path.glob(f"{name}/*/predictions.h5")
        with h5py.File(path) as file:
            found.append(file["logits"][()])
    assert np.array_equal(*found)
