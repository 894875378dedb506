"""Gradients of several batches as one step: the larger batch, to rounding; and profiles."""

from __future__ import annotations

import pytest
import torch

from eleatt_bench.training.run import train

from .conftest import weights

# 1,366 training samples, in an order of their own in each epoch; all that is random is of a sample.
ALIKE = (
    "trainer.precision=64-true", "trainer.max_epochs=2", "model.dropout=0.5",
    "data.transforms.noise=0.1", "scheduler=step",
)  # fmt: skip


@pytest.mark.parametrize(
    ("batch_size", "accumulated", "whole"),
    [(100, 3, 300), (50, 2, 100), (683, 2, 1366), (1000, 4, 4000)],
    # 14 batches in 5 steps, the last of two; 28 in 14; two halves; a step larger than the epoch.
)
@pytest.mark.few(1)
def test_several_batches_are_the_larger_batch(
    short_config, batch_size: int, accumulated: int, whole: int
) -> None:
    in_parts, of_parts = train(
        short_config(*ALIKE, f"data.batch_size={batch_size}",
                     f"trainer.accumulate_grad_batches={accumulated}"), [],
    )  # fmt: skip
    at_once, of_whole = train(short_config(*ALIKE, f"data.batch_size={whole}"), [])
    assert in_parts.run_id != at_once.run_id
    ours, theirs = weights(in_parts), weights(at_once)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-7, atol=1e-9)
    for stage in ("train", "val", "test"):
        assert of_parts["metrics"][stage] == pytest.approx(of_whole["metrics"][stage], rel=1e-6)


def test_one_batch_for_each_step_is_the_run_that_it_always_was(short_config) -> None:
    folder, record = train(short_config("trainer.accumulate_grad_batches=1"), [])
    assert "accumulate_grad_batches" not in record["identity"]["trainer"]
    again, answer = train(short_config(), [])
    assert (again.path, answer) == (folder.path, record)


def test_a_continued_run_ends_with_the_same_weights(short_config) -> None:
    config = short_config("trainer.accumulate_grad_batches=3", "model.dropout=0.5")
    folder, record = train(config, [])
    before = weights(folder)
    folder.record.unlink()
    (folder.checkpoints / "previous.ckpt").replace(folder.checkpoints / "last.ckpt")
    again, continued = train(config, [])
    assert continued["timing"]["resumed_after_epoch"] == 2
    assert continued["metrics"] == record["metrics"]
    assert all(torch.equal(before[name], value) for name, value in weights(again).items())


# An epoch of few steps is shorter than torch's profiler would have it.
@pytest.mark.filterwarnings("ignore:The PyTorch Profiler default schedule will be overridden")
@pytest.mark.parametrize("profiler", ["simple", "advanced", "pytorch"])
@pytest.mark.few(1)
def test_a_profile_lies_in_the_runs_folder_and_changes_nothing(short_config, profiler: str) -> None:
    few = ("data.limit=64", "trainer.max_epochs=1")
    folder, record = train(short_config(*few), [])
    before = weights(folder)
    profiled, again = train(short_config(*few, f"trainer.profiler={profiler}", "force=true"), [])
    assert profiled.run_id == folder.run_id
    assert again["metrics"] == record["metrics"]
    assert all(torch.equal(before[name], value) for name, value in weights(profiled).items())
    text = (folder.profiler / f"fit-{profiler}.txt").read_text(encoding="utf-8")
    # Of so few steps torch's profiler records none.
    assert ("CPU time total" if profiler == "pytorch" else "validation_step") in text
    train(short_config(*few, "force=true"), [])
    assert not folder.profiler.exists()
    assert folder.remove() == []
    assert not folder.path.exists()
