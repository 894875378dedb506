"""Imported first by the server that warm jobs are forked from: what all of them take from it."""

from __future__ import annotations

from eleatt_bench.training.environment import git_commit

git_commit()  # of the code that is imported now: hours later the checkout may be at another one
