"""What a config may name as ``_target_``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eleatt_bench.errors import UserError
from eleatt_bench.targets import check_target, resolve_target


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
        "eleatt_bench.files.Path",
        "torch.optim.lr_scheduler.warnings.catch_warnings",
    ],
)
def test_what_an_allowed_module_only_borrows_is_refused(target: str) -> None:
    with pytest.raises(UserError, match=r"is refused|does not exist"):
        resolve_target(target)


def test_a_class_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"torch\.optim\.Adamm' does not exist"):
        resolve_target("torch.optim.Adamm")


def test_a_refusal_imports_nothing() -> None:
    code = (
        "import sys; from eleatt_bench.targets import resolve_target\n"
        "try: resolve_target('torch.utils.collect_env.run')\n"
        "except Exception: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
