"""The rehearsal of all tables, with a program in the place of Python that only tells its words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "rehearse.sh"


def test_a_second_rehearsal_does_all_runs_anew_and_leaves_what_is_no_rehearsal(
    tmp_path: Path,
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$*: $(cd "$ELEATT_RUNS" && ls)" >> {tmp_path}/told\n')
    python.chmod(0o755)
    runs, stores = tmp_path / "runs", tmp_path / "data" / "prepared"
    for folder in ("quick-digits-gru-seed0-0", "digits-gru-seed0-0", "tables"):
        (runs / folder).mkdir(parents=True)
    (runs / "tables" / "digits-quick.md").touch()
    (runs / "tables" / "digits.md").touch()
    stores.mkdir(parents=True)
    (stores / "nucla.h5").touch()
    where = {"PYTHON": str(python), "REHEARSAL": str(tmp_path), "MNIST_SOURCE": str(tmp_path)}
    subprocess.run([str(SCRIPT), "launcher.jobs=2"], check=True, env=os.environ | where)
    told = (tmp_path / "told").read_text()
    last = "-m eleatt_bench reproduce paper quick=true launcher.jobs=2: "
    assert told.endswith(f"{last}digits-gru-seed0-0\ntables\n")
    assert [path.name for path in (runs / "tables").iterdir()] == ["digits.md"]
    assert [path.name for path in stores.iterdir()] == ["nucla.h5"]
