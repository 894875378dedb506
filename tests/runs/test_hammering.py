"""Many processes at the same few runs lose nothing and do nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eleatt_bench.runs.record import RunFolder, all_runs

PROCESSES, ROUNDS, RUNS = 16, 40, 3

HAMMER = """
import json, random, sys
from pathlib import Path
from eleatt_bench.common.errors import HeldElsewhereError, UserError
from eleatt_bench.runs.record import RunFolder, all_runs, find_run

runs_dir, me, rounds, runs = Path(sys.argv[1]), *map(int, sys.argv[2:5])
begun = {"count": 0, "padding": "x" * 20_000, **json.loads(sys.argv[5])}
counted, refused = [0] * runs, 0
for _ in range(rounds):
    number = random.randrange(runs)
    run = RunFolder(runs_dir, f"run{number}")
    try:
        with run.held(wait=random.random() < 0.8):
            record = run.read() or {**begun, "run_id": run.run_id}
            run.write({**record, "count": record["count"] + 1, "last": me})
        counted[number] += 1
    except HeldElsewhereError:
        refused += 1
    seen = run.read()
    assert seen is None or len(seen["padding"]) == 20_000
    assert run.status() in {"running", "interrupted", "not started"}
    for found in all_runs(runs_dir):
        found.read()
    doomed = RunFolder(runs_dir, "doomed")
    if random.random() < 0.5:
        with doomed.held():
            doomed.write({**begun, "run_id": "doomed", "status": "finished"})
            assert doomed.read()["status"] == "finished"
    else:
        try:
            doomed.remove()
        except UserError as error:
            assert "is running" in str(error)
print(json.dumps([counted, refused]))
"""


@pytest.mark.slow
def test_sixteen_processes_count_every_training_once(tmp_path: Path, record_of) -> None:
    begun = json.dumps(record_of("", status="running"))
    command = [sys.executable, "-c", HAMMER, str(tmp_path)]
    processes = [
        subprocess.Popen(
            [*command, str(me), str(ROUNDS), str(RUNS), begun],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for me in range(PROCESSES)
    ]  # fmt: skip
    said = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in said] == [""] * PROCESSES
    counts = [json.loads(out) for out, _ in said]
    for number in range(RUNS):
        record = RunFolder(tmp_path, f"run{number}").read()
        assert record is not None
        assert record["count"] == sum(counted[number] for counted, _ in counts)
    done = sum(sum(counted) + refused for counted, refused in counts)
    assert done == PROCESSES * ROUNDS
    assert {run.run_id for run in all_runs(tmp_path)} - {"doomed"} == {"run0", "run1", "run2"}
    assert not [p for p in tmp_path.rglob("*.tmp") if p.is_file()]
