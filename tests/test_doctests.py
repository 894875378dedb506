"""The examples in docstrings run and show what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import eleatt_bench

SOURCE = Path(eleatt_bench.__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((SOURCE / "eleatt_bench").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_every_example_runs(module: str) -> None:
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0  # pytest shows what doctest has printed


@pytest.mark.parametrize(
    "name", [name for name in eleatt_bench.__all__ if name.startswith("EleAtt")]
)
def test_every_layer_has_an_example(name: str) -> None:
    documented = doctest.DocTestFinder(recurse=False).find(getattr(eleatt_bench, name))
    assert any(test.examples for test in documented)
