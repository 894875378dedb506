"""The typed schema of ``configs/``: what may be said, and of what type.

Hydra merges every YAML file and override into `TrainConfig`; an unknown key, a wrong type or a
word that is not a choice fails there, before anything heavy is imported. What Hydra lets through
(keys added with ``+``, values that make no sense) is caught by `check`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eleatt_bench.common.errors import UserError, unknown
from eleatt_bench.config.tables import TableConfig
from eleatt_bench.config.targets import check_target
from eleatt_bench.config.transforms import TransformsConfig, check_transforms

Cell = Enum("Cell", ["rnn", "lstm", "gru"])
Gate = Enum("Gate", ["sigmoid", "softmax"])
Readout = Enum("Readout", ["mean", "last"])
Sequence = Enum("Sequence", ["frames", "pixels", "permuted_pixels"])
Accelerator = Enum("Accelerator", ["auto", "cpu", "gpu", "mps"])
Strategy = Enum("Strategy", ["auto", "ddp"])
Precision = Enum("Precision", ["32-true", "64-true", "bf16-mixed", "16-mixed"])
Selection = Enum("Selection", ["best", "last"])
Checkpoint = Enum("Checkpoint", ["best", "last"])


@dataclass
class DataConfig:
    name: str = MISSING
    protocol: str = MISSING
    fold: int = 0
    sequence: Sequence = Sequence.frames
    batch_size: int = MISSING
    bucket: bool = False
    val_fraction: float = 0.05
    val_seed: int = 0
    limit: int | None = None  # at most so many sequences to train, to validate and to test on each
    transforms: TransformsConfig = field(default_factory=TransformsConfig)


@dataclass
class InitConfig:
    recurrent_gain: float = 0.001
    forget_bias: float = 1.0
    chrono_steps: int | None = None


@dataclass
class ModelConfig:
    cell: Cell = MISSING
    gate: Gate | None = None
    gated_layers: list[int] | None = None  # 0-based; None: every layer, where there is a gate
    hidden_size: int = 100
    num_layers: int = 3
    bidirectional: bool = False
    dropout: float = 0.5  # after each recurrent layer
    reset_after: bool = False  # GRU only: torch's and cuDNN's form instead of the paper's
    readout: Readout = Readout.mean
    init: InitConfig = field(default_factory=InitConfig)
    backend: str = "auto"


@dataclass
class OptimizerConfig:
    _target_: str = "torch.optim.Adam"
    lr: float = MISSING
    weight_decay: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)  # whatever else that class takes


@dataclass
class SchedulerConfig:
    _target_: str | None = None
    monitor: str | None = None  # what a plateau scheduler watches, e.g. train/accuracy
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainerConfig:
    accelerator: Accelerator = Accelerator.cpu
    devices: int = 1
    strategy: Strategy = Strategy.auto
    precision: Precision = Precision["32-true"]
    max_epochs: int = MISSING
    gradient_clip_val: float | None = 1.0
    selection: Selection = Selection.best  # best validation accuracy, or the last epoch
    early_stopping: int | None = None  # epochs without a gain in validation accuracy
    num_threads: int | None = None  # CPU threads; None: what the launcher leases, else torch's


@dataclass
class LauncherConfig:
    name: str = MISSING
    jobs: int | None = None  # how many at once; None: one per device, or per core
    jobs_per_device: int = 1
    warm: bool = True  # fork jobs from a server that has torch imported (Linux)


@dataclass
class TrainConfig:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    table: TableConfig | None = None
    pretraining: str | None = None  # the experiment whose recurrent layers this run begins with
    seed: int = 0
    quick: bool = False  # a rehearsal, see `shrink`; its numbers are no results
    force: bool = False  # train anew although a finished run is there
    data_dir: str = MISSING
    runs_dir: str = MISSING


@dataclass
class EvalConfig:
    run: str = MISSING
    checkpoint: Checkpoint = Checkpoint.best
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    data_dir: str = MISSING
    runs_dir: str = MISSING


SCHEMAS: dict[str, type] = {"train": TrainConfig, "eval": EvalConfig}


@cache
def register() -> None:
    """Make the schemas known to Hydra, as ``train_schema`` and ``eval_schema``."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)


_hints = cache(get_type_hints)  # which would evaluate them anew each time


def schema_at(schema: type, path: list[str]) -> type | None:
    """The dataclass at ``path`` below ``schema``; None where the path ends in a plain value."""
    for key in path:
        hint = _hints(schema).get(key)
        if get_origin(hint) is list:  # what is in a list cannot be named by an override
            return None
        nested = [t for t in (hint, *get_args(hint)) if is_dataclass(t)]
        if not nested:
            return None
        schema = nested[0]  # type: ignore[assignment]
    return schema


QUICK = {"trainer.max_epochs": 2, "data.limit": 64}
"""What a run with ``quick=true`` has at most."""


def shrink(cfg: DictConfig) -> None:
    """Make a run with ``quick=true`` one of seconds; nothing happens to others."""
    if not OmegaConf.select(cfg, "quick"):
        return
    for key, most in QUICK.items():
        value = OmegaConf.select(cfg, key)
        if value is None or value > most:
            OmegaConf.update(cfg, key, most)


def check(cfg: DictConfig, name: str = "train") -> None:
    """Refuse what Hydra's own typing lets through; ``name`` is the schema's.

    Raises:
        UserError: a key outside the schema (``+typo=1``) or taken out of it (``~seed``), a
            mandatory value that nothing sets, a reference to nothing (``${typo}``), or a value
            out of its range.
    """
    try:
        _check_keys(cfg, SCHEMAS[name], "")
        missing = sorted(OmegaConf.missing_keys(cfg))
        if missing:
            raise UserError(f"Nothing sets {missing[0]!r}: give it as {missing[0]}=VALUE")
        _check_finite(plain(cfg), "")
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    _check_minima(cfg)
    if name == "train":
        _check_ranges(cfg)
        check_transforms(cfg.data.transforms)
        for target in (cfg.optimizer._target_, cfg.scheduler._target_):
            if target is not None:
                check_target(target)


def _check_keys(cfg: DictConfig, schema: type, prefix: str) -> None:
    names = {f.name for f in fields(schema)}
    keys = [str(key) for key in cfg]
    absent = sorted(names.difference(keys))
    if absent:
        key = f"{prefix}{absent[0]}"
        raise UserError(f"{key!r} is taken out of the configuration; it must stay: {key}=VALUE")
    for key in keys:
        if key not in names:
            raise unknown("config key", f"{prefix}{key}", [f"{prefix}{n}" for n in names])
        inner = schema_at(schema, [key])
        if inner is not None and not OmegaConf.is_missing(cfg, key) and cfg[key] is not None:
            _check_keys(cfg[key], inner, f"{prefix}{key}.")


def _check_finite(value: Any, key: str) -> None:
    """Refuse NaN and infinity: no training can use them, and no run can be named after them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_finite(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_finite(inner, f"{key}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key} is {value}; it must be a finite number")


_MINIMA = {
    "data.batch_size": 1,
    "data.fold": 0,
    "data.val_seed": 0,
    "data.limit": 1,
    "data.transforms.resample": 1,
    "data.transforms.rotation.x": 0,
    "data.transforms.rotation.y": 0,
    "data.transforms.rotation.z": 0,
    "data.transforms.noise": 0,
    "model.hidden_size": 1,
    "model.num_layers": 1,
    "model.init.chrono_steps": 3,
    "optimizer.lr": 0,
    "optimizer.weight_decay": 0,
    "trainer.max_epochs": 1,
    "trainer.devices": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.early_stopping": 1,
    "trainer.num_threads": 1,
    "launcher.jobs": 1,
    "launcher.jobs_per_device": 1,
    "seed": 0,
}


def _check_minima(cfg: DictConfig) -> None:
    for key, least in _MINIMA.items():
        value = OmegaConf.select(cfg, key)  # None as well where this schema has no such key
        if value is not None and value < least:
            raise UserError(f"{key} is {value}; it must be at least {least}")


def _check_ranges(cfg: DictConfig) -> None:
    if cfg.data.val_seed >= 2**32:  # NumPy's RandomState takes 32 bits
        raise UserError(f"data.val_seed is {cfg.data.val_seed}; it must be below 2**32")
    if not 0 <= cfg.model.dropout < 1:
        raise UserError(f"model.dropout is {cfg.model.dropout}; it must lie in [0, 1)")
    if not 0 < cfg.data.val_fraction < 1:
        raise UserError(f"data.val_fraction is {cfg.data.val_fraction}; it must lie in (0, 1)")
    gated = cfg.model.gated_layers
    if gated is not None:
        if cfg.model.gate is None:
            raise UserError("model.gated_layers is set, but model.gate is not: nothing is gated")
        wrong = [k for k in gated if not 0 <= k < cfg.model.num_layers]
        if wrong:
            last = cfg.model.num_layers - 1
            raise UserError(f"model.gated_layers names layer {wrong[0]}; layers count 0 to {last}")


def plain(node: DictConfig | ListConfig) -> Any:
    """``node`` resolved to dicts, lists, numbers and strings (choices by their names)."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True, enum_to_str=True)
