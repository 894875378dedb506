"""What is said when a sweep is left that Ray runs itself: Ray is not needed for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eleatt_bench.launch.process import Job
from eleatt_bench.launch.ray.submission import Submitted

RAY: Any = None  # which is not asked


@pytest.mark.parametrize(
    ("words", "again"), [((), "again, and ends"), (("force=true",), "again, begins anew what is")]
)
def test_it_says_what_the_same_command_would_do(
    tmp_path: Path, words: tuple[str, ...], again: str
) -> None:
    said: list[str] = []
    with Submitted(RAY, tmp_path / "sweep", said.append) as engine:
        engine.start(Job(("train", *words), "", tmp_path / "job.log"))
    assert "1 jobs stay in Ray's queue" in said[-1]
    assert f"the same command attaches to them {again}" in said[-1]
    assert said[-1].endswith("and ends them with --cancel")
