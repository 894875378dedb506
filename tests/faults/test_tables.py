"""Tables whose making is killed: the jobs' launcher at random, and the table being written."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from eleatt_bench.launch.guard import signal_group

TABLE = [
    "reproduce", "digits", "table.seeds=[0]", "trainer.max_epochs=2", "model.hidden_size=8",
]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    """Of what a reader sees: a killed writer leaves a hidden temporary file, which gc removes."""
    paths = sorted(folder.glob("runs/tables/*"))
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


def level(work) -> None:
    """Say of all runs that they took the same time: those that are trained anew never do."""
    for path in work.folder.glob("runs/*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["timing"]["seconds_per_epoch"] = 1.5
        path.write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_table_is_the_same_after_any_kills(work, data_dir) -> None:
    command = [*TABLE, f"data_dir={data_dir}"]
    assert work.do(command) == 0, work.output
    level(work)
    assert work.do(command) == 0, work.output
    expected = contents(work.folder)
    assert any(name.endswith(".md") for name in expected)

    calls = 1
    while (status := work.do(command, kill_at=calls)) == -signal.SIGKILL:  # all runs are there
        assert work.do(command) == 0, work.output
        assert contents(work.folder) == expected
        for path in work.folder.glob("runs/tables/*"):
            if not path.name.endswith(".plan.json"):  # that was recorded before any run
                path.unlink()
        calls += 1
    assert status == 0, work.output
    assert calls > 3

    work.clear()
    kills = 0
    while True:
        pid = work.start(command)
        time.sleep(random.uniform(0, 12 + kills))  # it ends on a busy machine, too
        signal_group(pid, signal.SIGKILL)
        if (status := work.wait()) == 0:
            break
        assert status == -signal.SIGKILL, work.output
        kills += 1
    before = contents(work.folder)
    level(work)
    assert work.do(command) == 0, work.output
    assert before.keys() == expected.keys()
    assert contents(work.folder) == expected
    print(f"the table's writing killed before {calls - 1} calls, its making {kills} times")
