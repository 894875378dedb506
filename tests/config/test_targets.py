"""What a config may name as ``_target_``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eleatt_bench.common.errors import UserError
from eleatt_bench.config.targets import check_target, resolve_target


@pytest.mark.parametrize(
    "target",
    [
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "torch.nn.GRU",
        "torchmetrics.MeanMetric",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "eleatt_bench.nn.layers.EleAttGRU",
    ],
)
def test_classes_of_the_list_resolve(target: str) -> None:
    assert resolve_target(target).__name__ == target.rpartition(".")[2]


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.utils.collect_env.run",
        "torch.load",
        "torch.optimizer.Adam",
        "torch.optimum",
        "torch",
        "torch.nnx.GRU",
        ".torch.nn.GRU",
        "pytorch_lightning.Trainer",
        "Adam",
        "",
    ],
)
def test_others_are_refused_by_name(target: str) -> None:
    with pytest.raises(UserError, match="is refused"):
        check_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "torch.nn.functional.relu",  # a function
        "torch.nn.init.xavier_uniform_",
        "torch.optim.lr_scheduler.Counter",  # another module's class
        "torch.optim.lr_scheduler.partial",
        "torch.nn.Parameter.__init__",
        "eleatt_bench.common.files.Path",
        "torch.optim.lr_scheduler.warnings.catch_warnings",
        "torch.optim.os.system",  # a borrowed module is none of the package's
        "torch.nn.functional.torch.load",
        "torch.optim..Adam",
        "torch.nn.",
        "torch.nn.\0.GRU",
        "torch.nn.functional",  # a module
        "eleatt_bench.config.schema.MISSING",  # a value
    ],
)
def test_what_an_allowed_module_only_borrows_is_refused(target: str) -> None:
    with pytest.raises(UserError, match=r"is refused|does not exist"):
        resolve_target(target)


def test_a_class_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"torch\.optim\.Adamm' does not exist"):
        resolve_target("torch.optim.Adamm")


@pytest.mark.parametrize("function", ["check_target", "resolve_target"])
def test_a_refusal_imports_nothing(function: str) -> None:
    code = (
        f"import sys; from eleatt_bench.config.targets import {function} as refuse\n"
        "from eleatt_bench.common.errors import UserError\n"
        "try: refuse('torch.utils.collect_env.run')\n"
        "except UserError: sys.exit('torch' in sys.modules)\n"
        "sys.exit('not refused')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_of_the_list_is_checked_without_an_import() -> None:
    code = (
        "import sys; from eleatt_bench.config.targets import check_target\n"
        "check_target('torch.optim.Adam'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
