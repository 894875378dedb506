#!/bin/sh
# The tests, on all cores (tests/conftest.py); arguments go to pytest. PYTHON as in check.sh.
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
# Hundreds of tests start processes: each would compile the package anew.
unset PYTHONDONTWRITEBYTECODE
# Output is buffered, as on a user's machine: the tests must see that it is flushed in time.
unset PYTHONUNBUFFERED
OMP_NUM_THREADS=1 exec "$python" -m pytest -n auto --dist worksteal -q "$@"
