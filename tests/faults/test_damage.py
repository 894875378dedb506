"""Files that were damaged after they were written, and files that were never ours."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eleatt_bench.common.errors import UserError
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.training.checkpoints import load_checkpoint


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def flip(path: Path) -> None:
    """One bit of a tensor, which torch would not notice."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda info: info.file_size)
        data = archive.read(part)
    content[content.index(data) + random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def foreign(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


class Malicious:
    """Pickled, it is a command that reading it would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def replaced(path: Path, damage: Callable[[Path], None]) -> None:
    """Damage ``path`` and no other name of the same file."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    damage(path)


def unfinished(run: RunFolder) -> None:
    """Let it be a run that was killed after its last epoch."""
    record = run.read()
    assert record is not None
    run.write({**record, "status": "running"})


@pytest.mark.parametrize(
    "damage",
    [flip, *(pytest.param(damage, marks=pytest.mark.slow) for damage in (cut, foreign))],
    ids=lambda damage: damage.__name__,
)
@pytest.mark.slow
def test_from_a_damaged_checkpoint_it_goes_back_to_the_one_before(
    work, undisturbed, assert_same, damage
) -> None:
    assert work.do() == 0, work.output
    unfinished(work.run)
    replaced(work.run.checkpoints / "last.ckpt", damage)
    assert work.do() == 0, work.output
    assert "last.ckpt is damaged: continuing from the checkpoint before it" in work.output
    assert "continuing after epoch 4" in work.output
    assert_same(work, undisturbed)


@pytest.mark.slow
def test_where_both_are_damaged_it_says_what_to_type(work, undisturbed, assert_same) -> None:
    assert work.do() == 0, work.output
    unfinished(work.run)
    for name in ("last", "previous"):
        flip(work.run.checkpoints / f"{name}.ckpt")
    assert work.do() == 1
    assert "does not match its checksum). Train again with force=true" in work.output
    assert "Traceback" not in work.output


@pytest.mark.slow
def test_a_damaged_record_is_said_and_never_overwritten_unasked(
    work, undisturbed, assert_same
) -> None:
    """And listing and tables live with it."""
    shutil.copytree(undisturbed.folder / "runs", work.folder / "runs")
    whole = work.run.record.read_bytes()
    for content in (b"", b"{", b"[]", b'{"status"', b"\0" * 100, b"\xff", whole[:-3]):
        work.run.record.write_bytes(content)
        assert work.run.status() == "damaged"
    assert work.do(["runs", "list"]) == 0, work.output
    assert "damaged" in work.output
    assert work.do(["table", "digits"]) == 0, work.output
    name = work.run.run_id
    for verb in ((), (["eval", f"run={name}"],)):
        assert work.do(*verb) == 1
        assert "record.json is damaged (it is not JSON: " in work.output
        assert work.output.count("force=true, or remove it: eleatt-bench runs rm") == 1
    assert work.run.record.read_bytes() == whole[:-3]
    typed = undisturbed.run.read()
    typed = {key: typed[key] for key in ("overrides", "command")}
    assert work.do(["train", *typed["overrides"], "force=true"]) == 0, work.output
    work.run.write(work.run.read() | typed)
    assert_same(work, undisturbed)


def test_a_checkpoint_that_would_run_a_command_is_refused(tmp_path: Path) -> None:
    path, proof = tmp_path / "last.ckpt", tmp_path / "proof"
    torch.save({"epoch": 0, "model": Malicious(proof)}, path)
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read .*Weights only load failed"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious(proof)))
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read"):
        load_checkpoint(path)
    assert not proof.exists()
