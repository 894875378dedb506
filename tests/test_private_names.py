"""What this package uses of libraries that they do not promise: listed here, and still there."""

from __future__ import annotations

import argparse
import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"

PRIVATE = (
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper._parse_config",
    "hydra.plugins.completion_plugin.CompletionPlugin._query",
    "os._exit",
    "ray._private.worker.print_to_stdstream",
    "sys._current_frames",
    "sys._getframe",
    "torch._C._are_functorch_transforms_active",
    "torch._C._dispatch_key_parse",
    "torch._C._dispatch_keys",
    "torch._C._len_torch_dispatch_stack",
    "torch._ops._get_current_dispatch_mode_pre_dispatch",
    "torch._ops._len_torch_dispatch_stack_pre_dispatch",
    "torch.autograd.forward_ad._current_level",
    "torch.utils._python_dispatch._get_current_dispatch_mode",
)
"""By their path."""

OF_INSTANCES = (
    "_option_string_actions",  # argparse.ArgumentParser
    "_trial_id",  # optuna.trial.FrozenTrial
)
"""Set where an object is made. ``fit_loop.epoch_progress`` of Lightning is as private, by habit."""

DOCUMENTED = {"_fields", "_replace", "_asdict", "_make", "_field_defaults"}  # of named tuples
NEVER_MISSING = "a new version of the library has dropped it; replace it where src/ uses {name}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def own_names(tree: ast.AST) -> Iterator[str]:
    """Private names that a file gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.alias):
            yield node.asname or ""


def used_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and private name of every attribute, import and ``getattr`` of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith("eleatt_bench"):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asked = node.func.id in ("getattr", "setattr", "hasattr", "delattr")
            names = [a.value for a in node.args[1:2] if asked and isinstance(a, ast.Constant)]
        else:
            continue
        yield from ((node.lineno, name) for name in names if is_private(str(name)))


def unlisted(files: dict[str, str]) -> list[str]:
    """Uses of private names that neither the ``files`` make nor this test lists."""
    trees = {name: ast.parse(text) for name, text in files.items()}
    known = {name for tree in trees.values() for name in own_names(tree)}
    known |= {part for path in PRIVATE for part in path.split(".")} | set(OF_INSTANCES)
    return [
        f"{file}:{line}: {name}"
        for file, tree in trees.items()
        for line, name in used_names(tree)
        if name not in known
    ]


def test_every_private_name_of_a_library_is_listed() -> None:
    files = {str(f.relative_to(SRC)): f.read_text(encoding="utf-8") for f in SRC.rglob("*.py")}
    found = unlisted(files)
    assert not found, (
        f"{found}: private names of libraries may go without notice. Use what the library "
        "promises, or list the name in tests/test_private_names.py"
    )


def test_none_is_listed_in_vain() -> None:
    used = "\n".join(f.read_text(encoding="utf-8") for f in SRC.rglob("*.py"))
    vain = [p for p in (*PRIVATE, *OF_INSTANCES) if p.rpartition(".")[2] not in used]
    assert not vain, f"{vain} are no longer used in src/: take them out here"


@pytest.mark.parametrize(
    "line",
    [
        "thing._secret",
        "self._secret()",
        "import lib._secret",
        "from lib._secret import x",
        "from lib import _secret",
        "getattr(thing, '_secret', None)",
    ],
)
def test_one_that_is_not_listed_is_found(line: str) -> None:
    assert unlisted({"a.py": f"x = 1\n{line}\n"}) == ["a.py:2: _secret"]


def test_ones_own_are_not_meant() -> None:
    assert not unlisted({"a.py": "thing._secret", "b.py": "class A:\n    _secret = 1\n"})


@pytest.mark.parametrize("path", PRIVATE)
def test_it_is_still_there(path: str) -> None:
    parts = path.split(".")
    found: object = pytest.importorskip(parts[0])  # an extra may lack
    for n, part in enumerate(parts):
        name = ".".join(parts[: n + 1])
        if n == 0:
            continue
        if not hasattr(found, part):
            try:
                found = importlib.import_module(name)
            except ImportError:
                pytest.fail(f"{path}: " + NEVER_MISSING.format(name=part))
        else:
            found = getattr(found, part)
    assert found is not None


def test_those_of_instances_are_still_there() -> None:
    missing = []
    if "--help" not in getattr(argparse.ArgumentParser(), "_option_string_actions", {}):
        missing.append("_option_string_actions (argparse)")
    optuna = pytest.importorskip("optuna")
    if getattr(optuna.trial.create_trial(value=1.0), "_trial_id", None) is None:
        missing.append("_trial_id (optuna)")
    from pytorch_lightning import Trainer

    progress = Trainer(logger=False, enable_checkpointing=False).fit_loop.epoch_progress
    if not hasattr(progress.current, "load_state_dict"):
        missing.append("fit_loop.epoch_progress.current (Lightning)")
    assert not missing, f"{missing}: " + NEVER_MISSING.format(name="them")
