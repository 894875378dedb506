#!/bin/sh
# Formatting, lint and types. PYTHON is the interpreter that has the dev extra (default: .venv's).
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -m mypy
