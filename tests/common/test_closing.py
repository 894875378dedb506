"""The last words of a sweep can be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from eleatt_bench.common.text import closing


@pytest.mark.parametrize("runs", ["runs", "my runs"])
def test_every_command_can_be_pasted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, runs: str
) -> None:
    monkeypatch.delenv("ELEATT_RUNS", raising=False)
    arguments = ["table", "digits", "--explain", "1-GRU 2", "test"]
    closing({"runs": runs, "logs": "x" * 200}, {"a cell": arguments}, Path(runs))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ""
    assert lines[1] == f"Where  runs    {runs}"
    assert lines[2].endswith("x" * 200)
    command = shlex.split(lines[3].removeprefix("Next   a cell  "))
    said = [] if runs == "runs" else ["ELEATT_RUNS=my runs"]
    assert command == [*said, "eleatt-bench", *arguments]
