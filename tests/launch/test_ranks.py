"""Which process of a run this one is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from eleatt_bench.launch.ranks import without_ranks

TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "2"}

PROCESS = """
import json, os
from eleatt_bench.launch.ranks import forget_other_launchers, is_first
forget_other_launchers()
print(json.dumps([is_first(), {k: v for k, v in os.environ.items() if "RANK" in k}]))
"""


@pytest.mark.parametrize("said", [{}, TORCHRUN, {"LOCAL_RANK": "0"}, {"ELEATT_RANK_OF": "1"}])
def test_only_who_was_started_as_a_rank_by_a_run_of_ours_is_one(said: dict[str, str]) -> None:
    def ask(**more: str) -> list[object]:
        environment = without_ranks(os.environ) | said | more
        return json.loads(subprocess.check_output([sys.executable, "-c", PROCESS], env=environment))

    assert ask() == [True, {}]
    assert ask(ELEATT_RANK_OF=str(os.getpid()), LOCAL_RANK="0") == [True, {}]
    ours = {"ELEATT_RANK_OF": str(os.getpid()), "LOCAL_RANK": "1", "NODE_RANK": "0"}
    first, kept = ask(**ours)
    assert not first
    assert kept.items() >= ours.items()
