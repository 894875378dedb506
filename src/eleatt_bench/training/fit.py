"""Train one run and test it: everything between a configuration and its numbers."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.profilers import (
    AdvancedProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)
from torch.distributed import DistError

from eleatt_bench.common.errors import UserError
from eleatt_bench.data.store import SequenceStore
from eleatt_bench.launch.ranks import mark_ranks
from eleatt_bench.nn.contract import BackendError
from eleatt_bench.runs.curves import CurveReader
from eleatt_bench.runs.predictions import write_predictions
from eleatt_bench.runs.record import RunFolder, epoch_of
from eleatt_bench.training.callbacks import EpochReport, Schedule
from eleatt_bench.training.checkpoints import Checkpoints, begin_with, load_checkpoint
from eleatt_bench.training.classifier import SequenceClassifier
from eleatt_bench.training.datamodule import SequenceDataModule
from eleatt_bench.training.environment import (
    backend_of,
    device_name,
    device_of,
    leased_threads,
    peak_memory,
)
from eleatt_bench.training.epochs import EpochLines
from eleatt_bench.training.evaluate import measure, predict, predictions
from eleatt_bench.training.expected import network_of
from eleatt_bench.training.loggers.chosen import Loggers
from eleatt_bench.training.progress import Display

Config = Mapping[str, Any]


@contextmanager
def as_user_errors() -> Iterator[None]:
    """Turn what Lightning and torch raise for a user's mistake into a `UserError`."""
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    except BackendError as error:
        raise UserError(f"model.backend: {error}") from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(_OUT_OF_MEMORY) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise UserError(_OUT_OF_MEMORY) from error
        if isinstance(error, DistError) or "/gloo/" in str(error):
            raise UserError(_OTHER_PROCESS_ENDED) from error
        raise
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning's way to end on Ctrl-C
            raise KeyboardInterrupt from None
        raise


_OTHER_PROCESS_ENDED = (
    "Another process of this run ended, or cannot be reached: what it printed says why, if it "
    "could. The same command, without force=true, continues the run"
)
_OUT_OF_MEMORY = (
    "Out of memory. Try a smaller data.batch_size, model.hidden_size, or fewer jobs at once "
    "(launcher.jobs_per_device, launcher.jobs)"
)


@as_user_errors()
def fit(
    config: Config,
    store: SequenceStore,
    folder: RunFolder,
    show: Display,
    source: RunFolder | None = None,
) -> dict[str, Any]:
    """Train as ``config`` says, from the last checkpoint in ``folder`` if there is one, and test.

    Without a checkpoint, the recurrent layers begin as those of the run ``source``, if given.

    Returns what the record says about the result. When this returns on the first process of the
    run, ``predictions.h5`` and the event files are complete.
    """
    started, clock = datetime.now().astimezone(), time.perf_counter()
    data, classifier = build(config, store)
    checkpoints = Checkpoints(folder.checkpoints, config["trainer"]["early_stopping"])
    epochs_before = _begin(checkpoints, data, classifier, source, show)
    report = EpochReport(show.epoch, show.advance)
    lines = EpochLines(folder, report, checkpoints, epochs_before, show.say)
    selection = config["trainer"]["selection"]
    with Loggers(folder, config, data, checkpoints, epochs_before, show.say) as loggers:
        callbacks = [Schedule(), report, lines, *loggers.callbacks, checkpoints]
        trainer = make_trainer(config["trainer"], folder, callbacks)
        trainer.fit(classifier, datamodule=data)
        chosen = checkpoints.best if selection == "best" else checkpoints.last
        path = folder.checkpoints / f"{selection}.ckpt"
        logits = load_and_predict(path, chosen["epoch"], trainer, classifier, data)
        metrics = {
            "train": _stage("train", chosen["metrics"]),
            "val": _stage("val", chosen["metrics"]),
            "test": measure(logits, data),
        }
        digest = ""  # the first process has it, which also writes the record
        if trainer.is_global_zero:
            found = predictions(logits, data)
            digest = write_predictions(folder.predictions, found, data.store.name)
            loggers.finish(metrics, chosen["epoch"] + 1)
    here = device_of(trainer), backend_of(trainer, classifier)
    return {
        "metrics": metrics,
        "epochs": checkpoints.last["epoch"] + 1,
        "best_epoch": checkpoints.best["epoch"] + 1,
        "selection": selection,
        "parameters": sum(p.numel() for p in classifier.parameters()),
        "samples": {s: len(getattr(data.split, s)) for s in ("train", "val", "test")},
        "predictions_digest": digest,
        **where(trainer, classifier),
        "backends": checkpoints.backends,
        "commits": checkpoints.commits,
        "devices": checkpoints.devices,
        "timing": {
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
            **_durations(folder, checkpoints, epochs_before, time.perf_counter() - clock, here),
            "resumed_after_epoch": epochs_before,
            **peak_memory(trainer.strategy.root_device),
        },
    }


def _begin(
    checkpoints: Checkpoints,
    data: SequenceDataModule,
    classifier: SequenceClassifier,
    source: RunFolder | None,
    show: Display,
) -> int:
    """Prepare the first epoch of this process; returns the number of epochs done before."""
    epochs_before = checkpoints.resume(show.say, classifier, data.steps_per_epoch)
    if epochs_before:
        show.say(f"continuing after epoch {epochs_before}")
    elif source is not None:
        begin_with(classifier, source)
        show.say(f"recurrent layers of {source.run_id}")
    return epochs_before


def _durations(
    folder: RunFolder,
    checkpoints: Checkpoints,
    epochs_before: int,
    seconds: float,
    here: tuple[str, str],
) -> dict[str, Any]:
    """How long the run took, and one of its epochs; this process took ``seconds``.

    Of earlier processes the epochs count that the run has kept. An epoch's time is the median of
    those that were computed on ``here``, the device and backend that the record names: if a process
    was stopped, or the machine slept, one epoch lasts for hours.
    """
    by_epoch = CurveReader(folder).read()["seconds"]
    earlier = sum(value for epoch, value in by_epoch.items() if epoch <= epochs_before)
    devices, backends = (
        [name for name, count in turns for _ in range(count)]
        for turns in (checkpoints.devices, checkpoints.backends)
    )
    computed = list(zip(devices, backends, strict=True))
    alike = [value for epoch, value in by_epoch.items() if computed[epoch - 1] == here]
    return {
        "seconds": round(earlier + seconds, 3),
        "seconds_per_epoch": round(float(np.median(alike)), 4) if alike else None,
    }


@as_user_errors()
def test(
    config: Config, store: SequenceStore, folder: RunFolder, checkpoint: str
) -> dict[str, Any]:
    """Test the ``best`` or ``last`` checkpoint of a run, on the device of the trainer section."""
    clock = time.perf_counter()
    data, classifier = build(config, store)
    trainer = make_trainer(config["trainer"], folder, [])
    epoch = epoch_of(folder.read() or {}, checkpoint)
    path = folder.checkpoints / f"{checkpoint}.ckpt"
    logits = load_and_predict(path, None if epoch is None else epoch - 1, trainer, classifier, data)
    return {
        "metrics": {"test": measure(logits, data)},
        "samples": {"test": len(data.split.test)},
        **where(trainer, classifier),
        "timing": {"seconds": round(time.perf_counter() - clock, 3)},
    }


def build(config: Config, store: SequenceStore) -> tuple[SequenceDataModule, SequenceClassifier]:
    """The data and the freshly initialised network of a run; sets the CPU threads."""
    _quiet_lightning()
    threads = config["trainer"]["num_threads"] or leased_threads()
    if threads:
        torch.set_num_threads(threads)
        if config["trainer"]["devices"] > 1:  # or Lightning would divide the cores again
            os.environ["OMP_NUM_THREADS"] = str(threads)
    accumulate = config["trainer"]["accumulate_grad_batches"]
    data = SequenceDataModule(config["data"], store, config["seed"], accumulate)
    classifier = SequenceClassifier(config, data.input_size, store.num_classes, data.transforms)
    return data, classifier


def make_trainer(section: Config, folder: RunFolder, callbacks: list[Callback]) -> Trainer:
    """A Lightning trainer that leaves checkpoints, logs and sharding to this package."""
    if section["devices"] > 1:
        mark_ranks()
    trainer = Trainer(
        accelerator=section["accelerator"],
        devices=section["devices"],
        strategy=section["strategy"],
        precision=section["precision"],
        max_epochs=section["max_epochs"],
        accumulate_grad_batches=section["accumulate_grad_batches"],
        # Lightning looks here for checkpoints of SLURM jobs; nothing makes this folder.
        default_root_dir=folder.path / "lightning",
        plugins=[LightningEnvironment()],  # no other launcher's, such as SLURM's
        deterministic=True,
        logger=False,
        profiler=_profiler(section["profiler"], folder),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    if trainer.precision != section["precision"]:  # Lightning would only warn
        device = trainer.strategy.root_device.type
        raise UserError(
            f"trainer.precision={section['precision']} does not work on the {device}: "
            f"choose trainer=gpu, or for a new run trainer.precision={trainer.precision}"
        )
    # Deterministic operations do not need every new tensor filled first, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return trainer


def _profiler(name: str | None, folder: RunFolder) -> Profiler | None:
    """Lightning's profiler called ``name``; it writes to the folder of the run."""
    if name is None:
        return None
    classes: dict[str, Callable[..., Profiler]] = {
        "simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler
    }  # fmt: skip
    return classes[name](dirpath=folder.profiler, filename=name)


def load_and_predict(
    checkpoint: Path,
    epoch: int | None,
    trainer: Trainer,
    classifier: SequenceClassifier,
    data: SequenceDataModule,
) -> np.ndarray:
    """Logits (N, classes) of the N test samples, by the weights in ``checkpoint``.

    If ``epoch`` (from 0) is given, a checkpoint of another epoch is refused.
    """
    trainer.strategy.barrier()
    state = load_checkpoint(checkpoint, network_of(classifier, epoch))
    classifier.load_state_dict(state["model"])
    return predict(trainer, classifier, data)


def where(trainer: Trainer, classifier: SequenceClassifier) -> dict[str, Any]:
    """The device, threads and backend that computed."""
    return {
        "device": device_name(trainer),
        "accelerator": trainer.strategy.root_device.type,
        "world_size": trainer.world_size,
        "num_threads": torch.get_num_threads(),
        "precision": classifier.config["trainer"]["precision"],
        "backend": backend_of(trainer, classifier),
    }


def _quiet_lightning() -> None:
    """Keep Lightning's hints out of the output; errors still come through."""
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*AMP with fp16")  # `make_trainer` refuses it
    threading.excepthook = _said_once
    # Lightning 2.6 with torch 2.13: about a class that Lightning uses, not this package.
    warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)


def _said_once(failure: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, except TensorBoard's writer, which raises it at its next call."""
    if not type(failure.thread).__module__.startswith("tensorboard."):
        threading.__excepthook__(failure)


def _stage(stage: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: metrics[f"{stage}/{name}"] for name in ("loss", "accuracy")}
