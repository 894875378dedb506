"""The typed schema of ``configs/``: which settings there are, and of what type.

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
Profiler = Enum("Profiler", ["simple", "advanced", "pytorch"])
WandbMode = Enum("WandbMode", ["online", "offline"])


@dataclass
class DataConfig:
    name: str = MISSING  # the data set: eleatt-bench data list shows the names
    protocol: str = MISSING  # which sequences train and which test: docs/data/
    fold: int = 0  # the fold, if the protocol has several
    sequence: Sequence = Sequence.frames  # how an image becomes a sequence
    batch_size: int = MISSING  # sequences in a batch
    bucket: bool = False  # puts sequences of similar length into the same batch
    val_fraction: float = 0.05  # fraction of the training sequences that is drawn for validation
    val_seed: int = II("seed")  # draws the validation sequences; by default the seed of the weights
    limit: int | None = None  # largest number of sequences in training, validation and test each
    # applied in order: origin, view, shift, time_warp, resample, scalings, rotation, noise, streams
    transforms: TransformsConfig = field(default_factory=TransformsConfig)


@dataclass
class InitConfig:
    recurrent_gain: float = 0.001  # gain of the orthogonal recurrent weights
    forget_bias: float = 1.0  # bias of the LSTM's forget gate, unless chrono_steps draws it
    chrono_steps: int | None = None  # longest memory (steps) for which biases of z or f are drawn


@dataclass
class ModelConfig:
    cell: Cell = MISSING  # the unit of the recurrent layers
    gate: Gate | None = None  # output function of the element-wise attention gate; null: no gate
    gated_layers: list[int] | None = None  # which layers have the gate, from 0; null: all
    hidden_size: int = 100  # units of a layer in each direction
    num_layers: int = 3  # number of recurrent layers
    bidirectional: bool = False  # layers read the sequence backwards as well
    dropout: float = 0.5  # dropout probability after each recurrent layer
    reset_after: bool = False  # GRU only: torch's and cuDNN's form instead of the paper's
    readout: Readout = Readout.mean  # logits: mean over the valid frames, or those of the last one
    init: InitConfig = field(default_factory=InitConfig)
    backend: str = "auto"  # what computes the layers: docs/layer.md


@dataclass
class OptimizerConfig:
    _target_: str = "torch.optim.Adam"  # class of the optimizer
    lr: float = MISSING  # learning rate
    weight_decay: float = 0.0  # weight decay, as that class takes it
    options: dict[str, Any] = field(default_factory=dict)  # other arguments of that class


@dataclass
class SchedulerConfig:
    _target_: str | None = None  # class of the scheduler; null: the learning rate stays
    monitor: str | None = None  # what a plateau scheduler watches, e.g. train/accuracy
    options: dict[str, Any] = field(default_factory=dict)  # other arguments of that class


@dataclass
class LossConfig:
    label_smoothing: float = 0.0  # label smoothing of the cross-entropy in training


@dataclass
class TrainerConfig:
    accelerator: Accelerator = Accelerator.cpu  # kind of device
    devices: int = 1  # number of devices of one run
    strategy: Strategy = Strategy.auto  # ddp: a process for each device
    precision: Precision = Precision["32-true"]  # precision of numbers, as Lightning names it
    max_epochs: int = MISSING  # largest number of epochs
    accumulate_grad_batches: int = 1  # batches that together make one step of the optimizer
    gradient_clip_val: float | None = 1.0  # largest norm of the whole gradient; null: no limit
    selection: Selection = Selection.best  # tested epoch: best validation accuracy, or the last
    # stops after so many epochs below the best validation accuracy so far; null: never
    early_stopping: int | None = None
    num_threads: int | None = None  # CPU threads; null: what the launcher leases, else torch's
    profiler: Profiler | None = None  # one of Lightning's; its output is in the run's folder


@dataclass
class LauncherConfig:
    name: str = MISSING  # where the jobs of a sweep run
    jobs: int | None = None  # jobs that run at once; null: one per device, or per core
    jobs_per_device: int = 1  # jobs that share a GPU
    warm: bool = True  # forks jobs from a server that has torch imported (Linux)
    # The rest is only for launcher=slurm or ray; their files say what it means.

    gpus: int | float | None = None
    cpus: int | None = None
    partition: str | None = None
    account: str | None = None  # account that the cluster charges for the jobs
    qos: str | None = None  # the cluster's quality of service
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
class MLflowConfig:
    tracking_uri: str | None = MISSING
    experiment_name: str = MISSING  # experiment under which MLflow lists the runs


@dataclass
class WandbConfig:
    project: str = MISSING  # project of the runs
    entity: str | None = MISSING
    mode: WandbMode = MISSING  # logs to the server, or to files in wandb/ in the folder of runs
    group: str | None = MISSING


@dataclass
class LoggerConfig:
    tensorboard: bool = False  # event files in the run's folder
    csv: bool = False  # every curve as a column of a file in the run's folder
    mlflow: MLflowConfig | None = None
    wandb: WandbConfig | None = None


@dataclass
class TrainConfig:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    table: TableConfig | None = None  # the table that `reproduce` makes
    pretraining: str | None = None  # the experiment whose recurrent layers this run begins with
    seed: int = 0  # seed of weights, order, dropout, augmentation and validation sequences
    quick: bool = False  # a rehearsal of seconds; its numbers are no results
    force: bool = False  # trains again even if the run is finished
    data_dir: str = MISSING  # folder of data sets; by default $ELEATT_DATA, or data
    runs_dir: str = MISSING  # folder of runs; by default $ELEATT_RUNS, or runs


@dataclass
class EvalConfig:
    run: str = MISSING  # ids of runs, or beginnings of ids, with commas between them
    # weights of the best epoch, or of the last one; null: those that were tested before
    checkpoint: Checkpoint | None = None
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    data_dir: str = MISSING  # folder of data sets; by default $ELEATT_DATA, or data
    runs_dir: str = MISSING  # folder of runs; by default $ELEATT_RUNS, or runs


SCHEMAS: dict[str, type] = {"train": TrainConfig, "eval": EvalConfig}


@cache
def register() -> None:
    """Make the schemas known to Hydra, as ``train_schema`` and ``eval_schema``."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)


_hints = cache(get_type_hints)  # get_type_hints evaluates them anew each time


def schema_at(schema: type, path: list[str]) -> type | None:
    """The dataclass at ``path`` below ``schema``; None where the path ends in a plain value."""
    for key in path:
        hint = _hints(schema).get(key)
        if get_origin(hint) is list:  # an override cannot name what is in a list
            return None
        nested = [t for t in (hint, *get_args(hint)) if is_dataclass(t)]
        if not nested:
            return None
        schema = nested[0]  # type: ignore[assignment]
    return schema


def is_optional(schema: type, path: list[str]) -> bool:
    """Whether the section at ``path`` below ``schema`` is there only if something chooses it."""
    *above, last = path
    outer = schema_at(schema, above)
    return outer is not None and type(None) in get_args(_hints(outer).get(last))


def names_at(schema: type, path: list[str]) -> list[str] | None:
    """The keys of the section at ``path`` below ``schema``; None if there is no section."""
    inner = schema_at(schema, path)
    return None if inner is None else [f.name for f in fields(inner)]


def choices_at(schema: type, path: list[str]) -> list[str]:
    """The possible values of the key at ``path`` below ``schema``; empty if they are not few."""
    above = schema_at(schema, path[:-1])
    hint = _hints(above).get(path[-1]) if above is not None else None
    found: list[str] = []
    for kind in get_args(hint) or (hint,):
        if kind is bool:
            found += ["true", "false"]
        elif isinstance(kind, type) and issubclass(kind, Enum):
            found += [choice.name for choice in kind]
        elif kind is type(None):
            found += ["null"]
    return found if found != ["null"] else []
