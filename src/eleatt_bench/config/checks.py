"""Whether the values of a configuration make sense; needs neither Hydra nor OmegaConf."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.nested import scalars, value_at
from eleatt_bench.config.targets import check_target
from eleatt_bench.config.transforms import check_transforms

QUICK = {"trainer.max_epochs": 2, "data.limit": 64}
"""The largest values that a run with ``quick=true`` has."""

DROPOUT_LEVELS = 1 << 16
"""A probability of dropout is rounded to so many levels."""


def check_values(config: Mapping[str, Any], name: str = "train", *, begun: bool = False) -> None:
    """Refuse values that make no sense; ``config`` is plain and has all keys of schema ``name``.

    Values that have no effect or do harm are refused only as long as the run has not ``begun``.

    Raises:
        UserError: a number out of its range or not finite, a gate on a layer that is not there, a
            ``_target_`` that is not allowed, ``options`` that repeat a key of their section.
    """
    for key, value in sorted(scalars(config), key=_depth):  # `seed` before settings that follow it
        if isinstance(value, float) and not math.isfinite(value):
            # No training can use it, and no run can be named after it.
            raise UserError(f"{key} is {value}; it must be a finite number")
        if isinstance(value, int) and abs(value) >= _LARGEST:
            # A search's database cannot hold it. The limit of a run's record is twice as large.
            raise UserError(f"{key} is {value}; it must lie between -2**63 and 2**63")
    _check_minima(config)
    _check_launcher(config["launcher"])
    if name == "train":
        _check_ranges(config)
        check_transforms(config["data"])
        for section in ("optimizer", "scheduler"):
            _check_class(section, config[section])
        if not begun:
            _check_clipping(config["trainer"])
            _check_monitor(config["scheduler"])
            _check_forget_bias(config["model"])
            _check_small_dropout(config["model"]["dropout"])


_LARGEST = 1 << 63


def _depth(setting: tuple[str, Any]) -> int:
    return setting[0].count(".")


_MINIMA = {
    "seed": 0,
    "data.batch_size": 1,
    "data.fold": 0,
    "data.val_seed": 0,
    "data.limit": 1,
    "data.transforms.shift": 0,
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
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": 0,
    "trainer.early_stopping": 1,
    "trainer.num_threads": 1,
    "launcher.jobs": 1,
    "launcher.jobs_per_device": 1,
    "launcher.gpus": 0,
    "launcher.cpus": 1,
    "launcher.parallel": 1,
    "launcher.resubmit": 0,
    "launcher.retries": 0,
    "launcher.notice": 0,
    "launcher.poll": 1,
}


def _check_minima(config: Mapping[str, Any]) -> None:
    for key, least in _MINIMA.items():
        value = value_at(config, key)  # None as well where this schema has no such key
        if value is not None and value < least:
            raise UserError(f"{key} is {value}; it must be at least {least}")


_OF = {
    "local": ("jobs", "jobs_per_device", "warm"),
    "slurm": ("partition", "account", "qos", "time", "gpus", "cpus", "mem", "parallel", "resubmit",
              "notice", "poll", "setup", "options"),
    "ray": ("address", "cpus", "gpus", "memory", "retries", "env"),
}  # fmt: skip
"""The settings of each launcher."""

_USUAL = {"jobs_per_device": 1, "warm": True}
_NUMBERS = ("cpus", "resubmit", "poll", "retries")  # for these a cluster has no default
_TIME = re.compile(r"((?P<days>\d+)-)?(?P<parts>\d+(:\d+){0,2})")
_ADDRESS = re.compile(r"auto|(ray://)?([\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}")
_SIZE = re.compile(r"0*[1-9]\d*[KMGT]?", re.IGNORECASE)
_TAKEN = re.compile(r"CUDA_VISIBLE_DEVICES|(OMP|MKL|ELEATT)_NUM_THREADS|ELEATT_(IN|PLANNED)_\w+")


def _check_launcher(launcher: Mapping[str, Any]) -> None:
    """Refuse settings of another launcher, which would be without effect."""
    name = launcher["name"]
    if name not in _OF:
        raise UserError(f"launcher.name is {name}; choose launcher=local, slurm or ray")
    for key, value in launcher.items():
        if key not in ("name", *_OF[name]) and value not in (_USUAL.get(key), [], {}):
            whose = " or ".join(other for other, keys in _OF.items() if key in keys)
            raise UserError(
                f"launcher.{key} is a setting of launcher={whose}, and launcher={name} was chosen"
                + _INSTEAD.get((name, key), "")
            )
    for key in _NUMBERS:
        if key in _OF[name] and launcher[key] is None:
            raise UserError(f"launcher.{key} is null; with launcher={name} it must be a number")
    if name == "slurm":
        _check_slurm(launcher)
    elif name == "ray":
        _check_ray(launcher)


_INSTEAD = {
    ("slurm", "jobs"): ": launcher.parallel says how many run at once",
    ("slurm", "memory"): ": launcher.mem is what a job has",
    ("ray", "jobs"): ": as many run at once as launcher.cpus, gpus and memory let",
    ("ray", "mem"): ": launcher.memory is what a job has",
    ("ray", "parallel"): ": as many run at once as launcher.cpus, gpus and memory let",
    ("ray", "resubmit"): ": launcher.retries says how often a lost job begins again",
    ("ray", "setup"): ": +launcher.env.NAME=VALUE sets a variable of jobs",
}


def _check_slurm(launcher: Mapping[str, Any]) -> None:
    if isinstance(gpus := launcher["gpus"], float) and not gpus.is_integer():
        raise UserError(f"launcher.gpus is {gpus}; SLURM lends whole ones")
    limit = _seconds(launcher["time"])
    if limit is not None and (launcher["notice"] or 0) >= limit:
        raise UserError(
            f"launcher.notice is {launcher['notice']} seconds, and launcher.time "
            f"{launcher['time']} is no longer: jobs would be told to stop before they begin"
        )


def _check_ray(launcher: Mapping[str, Any]) -> None:
    address, memory, gpus = launcher["address"], launcher["memory"], launcher["gpus"]
    if address is not None and not _ADDRESS.fullmatch(address):
        raise UserError(
            f"launcher.address is {address}; write auto, HOST:PORT, ray://HOST:PORT, or null for a "
            "Ray on this machine alone"
        )
    if memory is not None and not _SIZE.fullmatch(memory):
        raise UserError(f"launcher.memory is {memory}; write it as 16G or 500M")
    if gpus is not None and gpus > 1 and not float(gpus).is_integer():
        raise UserError(f"launcher.gpus is {gpus}; Ray lends parts of one GPU, or whole ones")
    for key in launcher["env"]:
        if _TAKEN.fullmatch(str(key)):
            raise UserError(f"launcher.env.{key}: {key} is set by the sweep itself")


def _seconds(time: str | None) -> float | None:
    """Seconds of a time as SLURM reads it: ``M``, ``M:S``, ``H:M:S``, ``D-H`` …; None: no limit."""
    if time is None or time.upper() in ("INFINITE", "UNLIMITED"):
        return None
    match = _TIME.fullmatch(time)
    if match is None:
        raise UserError(
            f"launcher.time is {time}; write it as SLURM does: MINUTES, HOURS:MINUTES:SECONDS or "
            "DAYS-HOURS"
        )
    parts = [int(part) for part in match["parts"].split(":")]
    if match["days"] is not None or len(parts) == 3:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:
        hours, minutes, seconds = 0, *[*parts, 0][:2]
    return ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _check_ranges(config: Mapping[str, Any]) -> None:
    data, model = config["data"], config["model"]
    if not 0 <= model["dropout"] < 1 - 0.5 / DROPOUT_LEVELS:
        raise UserError(
            f"model.dropout is {model['dropout']}; it must lie in [0, 1), also rounded to "
            f"1 / {DROPOUT_LEVELS:,}"
        )
    if not 0 <= (smoothing := config["loss"]["label_smoothing"]) < 1:
        raise UserError(f"loss.label_smoothing is {smoothing}; it must lie in [0, 1)")
    if not 0 < data["val_fraction"] < 1:
        raise UserError(f"data.val_fraction is {data['val_fraction']}; it must lie in (0, 1)")
    if model["gated_layers"] is not None:
        if model["gate"] is None:
            raise UserError("model.gated_layers is set, but model.gate is not: nothing is gated")
        wrong = [k for k in model["gated_layers"] if not 0 <= k < model["num_layers"]]
        if wrong:
            last = model["num_layers"] - 1
            raise UserError(f"model.gated_layers names layer {wrong[0]}; layers count 0 to {last}")


def _check_class(section: str, config: Mapping[str, Any]) -> None:
    if config["_target_"] is not None:
        check_target(config["_target_"])
    elif config["options"]:
        key = next(iter(config["options"]))
        raise UserError(
            f"{section}.options.{key} is set, but no {section} is chosen: {section}=NAME"
        )
    for key in config["options"]:
        if key in config or key in ("params", "optimizer"):
            mend = (
                f"has a setting of its own: set {section}.{key}"
                if key in config
                else "is given by the program: leave it out"
            )
            raise UserError(f"{section}.options.{key} {mend}")


_MODES = {
    "train/loss": "min", "train/accuracy": "max", "val/loss": "min", "val/accuracy": "max",
    "lr": None, "grad_norm": None, "grad_norm_max": None,
}  # fmt: skip
"""What a scheduler can watch (`SequenceClassifier.epoch_metrics`), and which way is better."""


def _check_clipping(trainer: Mapping[str, Any]) -> None:
    if trainer["gradient_clip_val"] == 0:
        raise UserError(
            "trainer.gradient_clip_val is 0, which makes zero of every gradient: it must be above "
            "0, or null to clip nothing"
        )


def _check_monitor(scheduler: Mapping[str, Any]) -> None:
    """Refuse a monitor that does not exist or that nothing watches, and a ``mode`` against it."""
    monitor, target = scheduler["monitor"], scheduler["_target_"]
    if target is None or target.rpartition(".")[2] != "ReduceLROnPlateau":
        if monitor is not None:
            raise UserError(
                f"scheduler.monitor={monitor} has no effect: only a plateau scheduler watches a "
                "value. Choose scheduler=plateau, or scheduler.monitor=null"
            )
        return
    if monitor not in _MODES:
        found = "null" if monitor is None else monitor
        raise UserError(f"scheduler.monitor is {found}; it can be one of: {', '.join(_MODES)}")
    mode, wanted = scheduler["options"].get("mode", "min"), _MODES[monitor]
    if wanted is not None and mode != wanted:
        raise UserError(
            f"scheduler.options.mode is {mode}, but {monitor} is better the "
            f"{'lower' if wanted == 'min' else 'higher'} it is: ++scheduler.options.mode={wanted}"
        )


_FORGET_BIAS = 1.0
"""The default of ``model.init.forget_bias``; the schema, which has it, needs OmegaConf."""


def _check_forget_bias(model: Mapping[str, Any]) -> None:
    """Refuse a bias that `nn.init` does not read: it would name another run with equal numbers."""
    bias, cell = model["init"]["forget_bias"], model["cell"]
    if bias == _FORGET_BIAS:
        return
    without = f"model.init.forget_bias={bias} has no effect"
    if cell != "lstm":
        raise UserError(
            f"{without}: it is for the LSTM, and model.cell is {cell}. Choose model=lstm, or "
            f"model.init.forget_bias={_FORGET_BIAS}"
        )
    if model["init"]["chrono_steps"] is not None:
        raise UserError(
            f"{without}: model.init.chrono_steps draws the biases of that gate. Choose "
            f"model.init.chrono_steps=null, or model.init.forget_bias={_FORGET_BIAS}"
        )


def _check_small_dropout(dropout: float) -> None:
    """Refuse a probability that is rounded to 0, for the same reason."""
    if 0 < dropout <= 0.5 / DROPOUT_LEVELS:
        raise UserError(
            f"model.dropout={dropout} has no effect: it is rounded to 1 / {DROPOUT_LEVELS:,}. "
            "Choose model.dropout=0"
        )
