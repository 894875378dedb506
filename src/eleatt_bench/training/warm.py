"""The first import of the server that warm jobs are forked from: what all jobs take from it."""

from __future__ import annotations

from eleatt_bench.training.environment import git_commit

git_commit()  # cached, for the code imported now: later the checkout may be at another commit
