"""The typed schema of ``configs/``: what may be said, and of what type.

Hydra merges every YAML file and override into `TrainConfig`; an unknown key, a wrong type or a
word that is not a choice fails there, before anything heavy is imported. What Hydra lets through
(keys added with ``+``, values that make no sense) is caught by `config.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import II, MISSING

from eleatt_bench.config.tables import TableConfig
from eleatt_bench.config.transforms import TransformsConfig

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
    val_seed: int = II("seed")  # which samples validate follows the seed, as the weights do
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
class LossConfig:
    label_smoothing: float = 0.0  # of the cross-entropy, while training


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
    # What follows is for launcher=slurm or ray alone, whose files say what it means.
    gpus: int | float | None = None
    cpus: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    mem: str | None = None
    parallel: int | None = None
    resubmit: int | None = None
    notice: int | None = None
    poll: float | None = None
    setup: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    memory: str | None = None
    retries: int | None = None
    env: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainConfig:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    table: TableConfig | None = None
    pretraining: str | None = None  # the experiment whose recurrent layers this run begins with
    seed: int = 0
    quick: bool = False  # a rehearsal, see `config.checks`; its numbers are no results
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


def names_at(schema: type, path: list[str]) -> list[str] | None:
    """The keys that there may be at ``path`` below ``schema``; None where there may be any."""
    inner = schema_at(schema, path)
    return None if inner is None else [f.name for f in fields(inner)]
